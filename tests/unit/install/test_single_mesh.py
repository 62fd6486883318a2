"""Which meshes may stand beside which others."""

from typing import Any

import pytest
from tests.unit.install.installed import made

from osm.core.install.names import Installation
from osm.core.install.single_mesh import ControlPlane, control_planes, refusals

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
