"""What a person would look at first when a test of a cluster failed."""

import os
import subprocess
from collections.abc import Iterator

from tests.kubernetes.node import Node

LINES = 15


def state_of(node: Node, *namespaces: str) -> str:
    """Pods, events and last lines of logs, of these namespaces and of those that have meshes."""
    return "\n\n".join(_state(node, namespaces))


def _state(node: Node, namespaces: tuple[str, ...]) -> Iterator[str]:
    everywhere = ("get", "pods", "--all-namespaces")
    yield _kubectl(node, *everywhere, "-o", "wide")
    path = "jsonpath={.items[*].metadata.namespace}"
    controlled = _kubectl(node, *everywhere, "-l", "app=osm-controller", "-o", path).split()
    for namespace in sorted({*namespaces, *controlled}):
        inside = ("--namespace", namespace)
        yield _kubectl(node, *inside, "get", "events", "--sort-by=.lastTimestamp")[-3000:]
        for pod in _kubectl(node, *inside, "get", "pods", "-o", "name").split():
            asked = ("--all-containers", "--prefix", f"--tail={LINES}")
            yield _kubectl(node, *inside, "logs", pod, *asked)
    for program in ("kubelet", "kube-apiserver", "kube-proxy"):
        yield f"{program}:\n{node.last_lines(program)}"


def _kubectl(node: Node, *arguments: str) -> str:
    done = subprocess.run(
        [str(node.programs / "kubectl"), "--request-timeout=10s", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "KUBECONFIG": str(node.kubeconfig)},
    )
    return done.stdout or done.stderr
