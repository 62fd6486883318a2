"""Which meshes may stand beside which others."""

from typing import Any

import pytest
from tests.unit.install.installed import made

from osm.core.install.names import Installation
from osm.core.install.single_mesh import (
    ControlPlane,
    control_planes,
    former_mesh_of,
    refusals,
)

NEW = Installation("new", "new-system")
LONELY = "wants to be the only mesh of the cluster"


@pytest.mark.parametrize(
    ("there", "single", "expected"),
    [
        ((), True, ()),
        ((), False, ()),
        ((ControlPlane("old", "old-system"),), False, ()),
        ((ControlPlane("old", "old-system"),), True, ("this mesh wants to be the only one",)),
        ((ControlPlane("old", "old-system", single=True),), False, (LONELY,)),
        ((ControlPlane("old", "old-system", single=True),), True, (LONELY,)),
        ((ControlPlane("old", "new-system"),), False, ("has the control plane of mesh old",)),
        ((ControlPlane("new", "old-system"),), False, ("has the same name",)),
        ((ControlPlane("new", "new-system", single=True),), True, ("`osm mesh upgrade`",)),
        ((ControlPlane("new", "new-system", former=True),), True, ("`osm migrate check`",)),
        (
            (ControlPlane("b", "b", single=True), ControlPlane("a", "a"), ControlPlane("new", "c")),
            False,
            ("mesh b in namespace b", "has the same name"),
        ),
    ],
)
def test_refusal(there: tuple[ControlPlane, ...], single: bool, expected: tuple[str, ...]) -> None:  # noqa: FBT001
    reasons = refusals(NEW, single=single, there=there)
    assert len(reasons) == len(expected)
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ((ControlPlane("old", "old-system", single=True, former=True),), ()),
        ((ControlPlane("old", "old-system", former=True),), ()),
        ((), ("there is no mesh old to take over from",)),
        ((ControlPlane("old", "old-system"),), ("is not OSM's",)),
        (
            (ControlPlane("old", "old-system", former=True), ControlPlane("b", "b", single=True)),
            (LONELY,),
        ),
        # Where it stands, nobody else can.
        ((ControlPlane("old", "new-system", former=True),), ("`osm migrate check`",)),
    ],
)
def test_the_mesh_that_is_taken_over_from_may_stay(
    there: tuple[ControlPlane, ...], expected: tuple[str, ...]
) -> None:
    reasons = refusals(NEW, single=True, there=there, former_mesh="old")
    assert len(reasons) == len(expected)
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason


@pytest.mark.parametrize("single", [True, False])
def test_one_of_osm_that_is_not_named_stands_in_the_way(single: bool) -> None:  # noqa: FBT001
    there = ControlPlane("old", "old-system", single=True, former=True)
    (reason,) = refusals(NEW, single=single, there=[there])
    assert "--set osm.formerMeshName=old" in reason


def test_whom_a_mesh_takes_over_from_is_read_from_its_deployment() -> None:
    for text, expected in (("", ""), ("osm.formerMeshName=old", "old")):
        (deployment,) = (
            each for each in made(text, installation=NEW) if each["kind"] == "Deployment"
        )
        assert former_mesh_of(deployment) == expected


@pytest.mark.parametrize("single", [True, False])
def test_ours_is_known_by_its_deployment(single: bool) -> None:  # noqa: FBT001
    documents = made(f"osm.enforceSingleMesh={str(single).lower()}", installation=NEW)
    deployments = [each for each in documents if each["kind"] == "Deployment"]
    assert control_planes(deployments) == (ControlPlane("new", "new-system", single),)


def test_one_of_osm_is_known_too() -> None:
    deployment: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {
            "name": "osm-controller",
            "namespace": "osm-system",
            "labels": {"app": "osm-controller", "meshName": "osm", "enforceSingleMesh": "true"},
        },
        "spec": {"template": {"spec": {"containers": [{"command": ["/osm-controller"]}]}}},
    }
    expected = ControlPlane("osm", "osm-system", single=True, former=True)
    assert control_planes([deployment]) == (expected,)
