"""All objects of an installation, to be read; of presets, what is different."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.unit.install.installed import made

from osm.core.inject.patch import difference
from osm.core.install.presets import PRESETS

GOLDEN = Path(__file__).parent / "golden"
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
HOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("rights", lambda kind: kind in RIGHTS),
        ("webhooks", lambda kind: kind in HOOKS),
        ("default", lambda kind: kind not in (*RIGHTS, *HOOKS)),
    ],
)
def test_default(
    file: str, wanted: Callable[[str], bool], golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / f"{file}.yaml", _text([each for each in made() if wanted(each["kind"])]))


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"default"}))
def test_preset(preset: str, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / f"{preset}.yaml", _text(list(_differences(made(preset=preset)))))


def test_autoscaler(golden: Callable[[Path, str], None]) -> None:
    scaled = made("osm.osmController.autoScale.enable=true")
    golden(GOLDEN / "autoscaler.yaml", _text([each for each in scaled if _scales(each)]))
    deployment = next(each for each in scaled if each["kind"] == "Deployment")
    assert "replicas" not in deployment["spec"]  # or each upgrade would undo what it did


def _differences(documents: Sequence[dict[str, Any]]) -> Iterator[object]:
    """What is new, and what is changed in the rest."""
    default = {(each["kind"], each["metadata"]["name"]): each for each in made()}
    for each in documents:
        before = default.get((each["kind"], each["metadata"]["name"]))
        if before is None:
            yield each
        elif before != each:
            steps = [msgspec.to_builtins(step) for step in difference(before, each)]
            yield {each["kind"]: steps}


def _scales(document: dict[str, Any]) -> bool:
    return bool(document["kind"] == "HorizontalPodAutoscaler")


def _text(documents: Sequence[object]) -> str:
    plain = json.loads(json.dumps(documents))  # no shared parts, hence no anchors
    text: str = yaml.safe_dump_all(plain, sort_keys=False)
    return text
