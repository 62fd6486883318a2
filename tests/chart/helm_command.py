"""Helm, which knows no repositories and no plugins, and no cluster but the one that it is given."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.chart.programs import helm_program

CHART = Path(__file__).parents[2] / "charts" / "osm"
KUBERNETES = "1.35.4"
"""What Helm takes the cluster for."""


class Helm:
    """`home` is a directory of the test's own: nobody's settings count."""

    def __init__(self, home: Path, kubeconfig: Path | None = None) -> None:
        self._home = home
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig or home / "nothing"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [helm_program(), *arguments],
            env=self._environment,
            cwd=self._home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def template(
        self,
        *options: str,
        chart: Path = CHART,
        release: str = "osm",
        namespace: str = "osm-system",
    ) -> list[dict[str, Any]]:
        """The objects of a chart."""
        done = self.run(
            "template", release, str(chart), "-n", namespace, "--kube-version", KUBERNETES, *options
        )
        assert not done.returncode, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    def refusal(self, options: Sequence[str]) -> str:
        """Why the chart does not take these values, or nothing."""
        done = self.run("template", "osm", str(CHART), "--kube-version", KUBERNETES, *options)
        return done.stderr if done.returncode else ""
