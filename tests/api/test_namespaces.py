"""`osm namespace` and `osm metrics` on a real API server, with the lines that OSM's users parse."""

import json
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from .kubelet import create_pod
from .verbs import get, nobody_special, osm, stand_for_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")
MONITORED_BY = "openservicemesh.io/monitored-by"
INJECTION = "openservicemesh.io/sidecar-injection"


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane) -> AsyncIterator[str]:
    """The name of a mesh, whose control plane is in the namespace of the same name."""
    name = f"m-{uuid.uuid4().hex[:8]}"
    await cluster.make_namespace(name)
    await stand_for_mesh(cluster, name, name)
    yield name
    await cluster.kubectl("delete", "namespace", name, "--wait=false")


async def metadata(cluster: ControlPlane, namespace: str) -> tuple[dict[str, str], dict[str, str]]:
    found = (await get(cluster, "namespace", namespace))["metadata"]
    labels = {k: v for k, v in found["labels"].items() if k.startswith("openservicemesh")}
    return labels, found.get("annotations", {})


async def test_a_namespace_is_added_and_removed(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    added = await osm(cluster, "namespace", "add", namespace, "--mesh-name", mesh)
    assert added == (0, f"Namespace [{namespace}] successfully added to mesh [{mesh}]\n", "")
    assert await metadata(cluster, namespace) == ({MONITORED_BY: mesh}, {INJECTION: "enabled"})

    again = await osm(cluster, "ns", "add", namespace, "--mesh-name", mesh)
    assert again == (0, f"Namespace [{namespace}] has already been added to mesh [{mesh}]\n", "")

    wrong = await osm(cluster, "namespace", "remove", namespace)
    assert (wrong.code, wrong.out) == (1, "")
    assert (
        f"Namespace belongs to mesh [{mesh}], not mesh [osm]. Please specify the correct mesh"
        in wrong.err
    )

    removed = await osm(cluster, "namespace", "remove", namespace, "--mesh-name", mesh)
    said = f"Namespace [{namespace}] successfully removed from mesh [{mesh}]\n"
    assert removed == (0, said, "")
    assert await metadata(cluster, namespace) == ({}, {})

    gone = await osm(cluster, "namespace", "remove", namespace, "--mesh-name", mesh)
    assert gone == (0, f"Namespace [{namespace}] already does not belong to any mesh\n", "")


async def test_several_are_added_at_once_and_listed(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    other, third = f"{namespace}-b", f"{namespace}-c"
    for name in (other, third):
        await cluster.make_namespace(name)
    await osm(cluster, "namespace", "add", namespace, third, "--mesh-name", mesh)
    await osm(
        cluster, "namespace", "add", other, "--mesh-name", mesh, "--disable-sidecar-injection"
    )
    await osm(cluster, "namespace", "ignore", third, "--mesh-name", mesh)

    listed = await osm(cluster, "namespace", "list", "--mesh-name", mesh)
    assert [line.split(maxsplit=2) for line in listed.out.splitlines()] == [
        ["NAMESPACE", "MESH", "SIDECAR-INJECTION"],
        [namespace, mesh, "enabled"],
        [other, mesh, "disabled"],
        [third, mesh, "disabled (ignored)"],
    ]
    as_json = await osm(cluster, "namespace", "list", "--mesh-name", mesh, "-o", "json")
    assert json.loads(as_json.out)["items"][1] == {
        "namespace": other,
        "mesh": mesh,
        "sidecarInjection": "disabled",
        "takenOverBy": "",
    }
    everywhere = await osm(cluster, "namespace", "list")
    assert f"{namespace}  " in everywhere.out
    for name in (other, third):
        await cluster.kubectl("delete", "namespace", name, "--wait=false")


async def test_an_ignored_namespace_is_not_added(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    ignored = await osm(cluster, "namespace", "ignore", namespace, "--mesh-name", mesh)
    assert ignored == (0, f"Successfully configured namespace [{namespace}] to be ignored\n", "")
    refused = await osm(cluster, "namespace", "add", namespace, "--mesh-name", mesh)
    assert refused.code == 1
    assert "Cannot add ignored namespace" in refused.err
    assert await metadata(cluster, namespace) == ({"openservicemesh.io/ignore": "true"}, {})


async def test_what_cannot_be_in_a_mesh_is_said(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    own = await osm(cluster, "namespace", "add", mesh, "--mesh-name", mesh)
    said = f"already has [osm-controller] installed and cannot be added to mesh [{mesh}]"
    assert own == (0, f"Namespace [{mesh}] {said}\n", "")
    no_mesh = await osm(cluster, "namespace", "add", namespace, "--mesh-name", "nobody")
    assert no_mesh.code == 2
    assert (
        "mesh [nobody] does not exist, please specify another mesh using --mesh-name or create a "
        "new mesh" in no_mesh.err
    )
    missing = await osm(cluster, "namespace", "add", "no-such", "--mesh-name", mesh)
    assert missing.code == 2
    assert "There is no namespace [no-such]." in missing.err
    empty = await osm(cluster, "namespace", "list", "--mesh-name", "nobody")
    assert empty == (0, "No namespaces in mesh [nobody]\n", "")


async def test_a_namespace_that_changes_its_mesh_says_so(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    await cluster.kubectl("label", "namespace", namespace, f"{MONITORED_BY}=former")
    moved = await osm(cluster, "namespace", "add", namespace, "--mesh-name", mesh)
    assert moved.out == f"Namespace [{namespace}] successfully added to mesh [{mesh}]\n"
    assert "It was in mesh [former]" in moved.err


async def test_metrics_are_switched_for_a_namespace_and_its_pods(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    refused = await osm(cluster, "metrics", "enable", "--namespace", namespace)
    assert refused.code == 1
    assert f"Namespace [{namespace}] does not belong to a mesh, missing annotation" in refused.err

    await cluster.kubectl("label", "namespace", namespace, f"{MONITORED_BY}={mesh}")
    await create_pod(cluster, namespace, "meshed", node="nowhere", labels={"osm-proxy-uuid": "1"})
    await create_pod(cluster, namespace, "plain", node="nowhere")
    enabled = await osm(cluster, "metrics", "enable", "--namespace", namespace)
    assert enabled == (0, f"Metrics successfully enabled in namespace [{namespace}]\n", "")
    _, annotations = await metadata(cluster, namespace)
    assert annotations == {"openservicemesh.io/metrics": "enabled"}
    pod = await get(cluster, "pod", "meshed", "-n", namespace)
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15010",
        "prometheus.io/path": "/stats/prometheus",
    }
    assert "annotations" not in (await get(cluster, "pod", "plain", "-n", namespace))["metadata"]

    disabled = await osm(cluster, "metrics", "disable", "--namespace", namespace)
    assert disabled == (0, f"Metrics successfully disabled in namespace [{namespace}]\n", "")
    assert "annotations" not in (await get(cluster, "pod", "meshed", "-n", namespace))["metadata"]


async def test_what_a_person_may_not_do_is_said(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    config = await nobody_special(cluster, namespace)
    refused = await osm(
        cluster, "namespace", "add", namespace, "--mesh-name", mesh, kubeconfig=config
    )
    assert refused.code == 1
    assert "You may not do this" in refused.err
    assert "deployments.apps is forbidden" in refused.err
