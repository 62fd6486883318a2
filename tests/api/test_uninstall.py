"""`osm uninstall mesh` against a real API server: exactly what install made, and nothing else."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from osm.core.model.identity import token_audience

from .stand_in import EVERYTHING, clean, names, stand_in
from .verbs import get, osm

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNINSTALL = ("uninstall", "mesh")
OURS = "app.kubernetes.io/name=openservicemesh.io,app.kubernetes.io/instance=osm"


@pytest_asyncio.fixture(loop_scope="session")
async def installed(lone_cluster: ControlPlane) -> AsyncIterator[ControlPlane]:
    assert (await osm(lone_cluster, "install", "--no-wait", "--preset", "ha")).code == 0
    yield lone_cluster
    await clean(lone_cluster)


async def test_what_install_made_goes_and_what_is_of_others_stays(
    lone_cluster: ControlPlane,
) -> None:
    cluster = lone_cluster
    try:
        await cluster.make_namespace("osm-system")
        await cluster.kubectl("create", "configmap", "mine", "-n", "osm-system")
        # It has our labels, and a name that we never give.
        await cluster.kubectl("label", "configmap", "mine", "-n", "osm-system", *OURS.split(","))
        await cluster.make_namespace("shop")
        labels = ("openservicemesh.io/monitored-by=osm", "team=blue")
        await cluster.kubectl("label", "namespace", "shop", *labels)
        notes = ("openservicemesh.io/sidecar-injection=enabled", "owner=me")
        await cluster.kubectl("annotate", "namespace", "shop", *notes)
        before = await names(cluster, *EVERYTHING, "leases", "secrets")
        crds = await names(cluster, "crd")

        assert (await osm(cluster, "install", "--no-wait")).code == 0
        async with stand_in(cluster) as leader:
            await leader.lead()
            await leader.give_files("shop")
        removed = await osm(cluster, *UNINSTALL, "--mesh-name", "osm", "-f")
        assert removed.code == 0, removed.err
        assert removed.out.splitlines() == [
            "Namespace [shop] successfully removed from mesh [osm]",
            "OSM [mesh name: osm] in namespace [osm-system] uninstalled",
        ]
        left = await names(cluster, *EVERYTHING, "leases", "secrets")
        assert left - before - (await names(cluster, "crd") - crds) == {
            "Secret/osm-system/osm-ca-bundle"  # the root: a mesh that comes back is the same
        }
        assert before <= left
        shop = (await get(cluster, "namespace", "shop"))["metadata"]
        assert shop["labels"] == {"kubernetes.io/metadata.name": "shop", "team": "blue"}
        assert shop["annotations"] == {"owner": "me"}
        assert await names(cluster, "meshconfigs") == set()
    finally:
        await clean(cluster)


async def test_pods_that_keep_proxies_of_the_mesh_are_told(installed: ControlPlane) -> None:
    def pod(name: str, namespace: str, mesh: str, **labels: str) -> str:
        token = {"audience": token_audience(mesh), "path": "token"}
        volume = {"name": "v", "projected": {"sources": [{"serviceAccountToken": token}]}}
        containers = [{"name": "app", "image": "app"}]
        spec = {"schedulerName": "none", "containers": containers, "volumes": [volume]}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        return json.dumps(document)

    uuid = {"osm-proxy-uuid": "b1"}
    for name in ("bank", "shop"):
        await installed.make_namespace(name)
    pods = [
        *(pod(name, "shop", "osm", **uuid) for name in ("cart", "till")),
        pod("vault", "bank", "osm", **uuid),
        pod("ended", "bank", "osm", **uuid),
        pod("plain", "bank", "osm"),
        pod("of-another-mesh", "bank", "blue", **uuid),
    ]
    await installed.kubectl("create", "-f", "-", text="\n---\n".join(pods))
    ended = ("--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Succeeded"}}')
    await installed.kubectl("patch", "pod", "ended", "-n", "bank", *ended)
    removed = await osm(installed, *UNINSTALL, "-f")
    assert removed.code == 0, removed.err
    assert removed.out == "OSM [mesh name: osm] in namespace [osm-system] uninstalled\n"
    lines = removed.err.splitlines()
    assert lines[0] == "3 pods still have their proxies, in namespaces: bank (1), shop (2)."
    assert lines[-2:] == [
        f"  kubectl rollout restart deployment,statefulset,daemonset -n {name}"
        for name in ("bank", "shop")
    ]


@pytest.mark.parametrize(
    ("answers", "asked", "left"),
    [
        pytest.param("\nwhat\nYes\n", 3, 0, id="the third time"),
        pytest.param("a\nb\nc\ny\n", 3, 1, id="not a fourth time"),
    ],
)
async def test_it_lists_the_meshes_and_asks(
    installed: ControlPlane, answers: str, asked: int, left: int
) -> None:
    result = await osm(installed, *UNINSTALL, text=answers)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[1] == "List of meshes present in the cluster:"
    assert lines[3].split() == [
        "MESH", "NAME", "MESH", "NAMESPACE", "VERSION", "ADDED", "NAMESPACES"
    ]  # fmt: skip
    assert lines[4].split()[:2] == ["osm", "osm-system"]
    question = (
        "Uninstall OSM [mesh name: osm] in namespace [osm-system] and/or OSM resources? [y/n]: "
    )
    assert result.out.count(question) == asked
    done = "OSM [mesh name: osm] in namespace [osm-system] uninstalled"
    assert (done in result.out) is not bool(left)
    there = await names(installed, "deployments")
    assert len([each for each in there if "osm-controller" in each]) == left


async def test_a_mesh_or_namespace_that_is_not_there_is_told(installed: ControlPlane) -> None:
    named = await osm(installed, *UNINSTALL, "--mesh-name", "shop", "-f")
    assert named.out == "Did not find mesh [shop] in namespace [osm-system]\n"
    place = await osm(installed, *UNINSTALL, "--osm-namespace", "elsewhere", "-f")
    assert place.out == "No OSM control plane found in namespace [elsewhere]\n"
    assert "Deployment/osm-system/osm-controller" in await names(installed, "deployments")


async def test_with_a_all_of_the_cluster_goes_too(installed: ControlPlane) -> None:
    async with stand_in(installed) as leader:
        await leader.lead()
    result = await osm(installed, *UNINSTALL, "-f", "-a", "--delete-namespace")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "OSM [mesh name: osm] in namespace [osm-system] uninstalled"
    assert "Successfully deleted OSM CRD: egresses.policy.openservicemesh.io" in lines
    assert "Successfully deleted OSM secret osm-ca-bundle in namespace osm-system" in lines
    assert lines[-1] == "OSM namespace [osm-system] deleted successfully"
    again = await osm(installed, *UNINSTALL, "-f", "-a", "--delete-namespace")
    assert again.code == 0, again.err
    assert again.out.splitlines()[0] == "No OSM control planes found"
    assert "Ignoring - did not find OSM CRD: egresses.policy.openservicemesh.io" in again.out
    await clean(installed, definitions=True)
    assert not {each for each in await names(installed, "crd") if "openservicemesh" in each}


async def test_what_is_left_of_half_an_installation_is_removed(installed: ControlPlane) -> None:
    await installed.kubectl("delete", "deployment", "osm-controller", "-n", "osm-system")
    result = await osm(installed, *UNINSTALL, "-f")
    assert result.code == 0, result.err
    assert "What was left of mesh [osm] is removed: " in result.out
    shown = json.loads(
        await installed.kubectl(
            "get", "services,clusterroles,validatingwebhookconfigurations,serviceaccounts",
            "-A", "-l", OURS, "-o", "json",
        )
    )  # fmt: skip
    assert shown["items"] == []


async def test_with_several_meshes_force_wants_a_name(lone_cluster: ControlPlane) -> None:
    try:
        many = ("install", "--no-wait", "--enforce-single-mesh=false")
        assert (await osm(lone_cluster, *many)).code == 0
        other = ("--mesh-name", "shop", "--osm-namespace", "shop")
        assert (await osm(lone_cluster, *many, *other)).code == 0
        refused = await osm(lone_cluster, *UNINSTALL, "-f")
        assert refused.code == 2
        assert "There are several meshes: osm in osm-system, shop in shop." in refused.err
        one = await osm(lone_cluster, *UNINSTALL, text="n\ny\n")
        assert "OSM [mesh name: shop] in namespace [shop] uninstalled" in one.out
        left = await names(lone_cluster, "deployments")
        assert left & {
            "Deployment/shop/osm-controller",
            "Deployment/osm-system/osm-controller",
        } == {"Deployment/osm-system/osm-controller"}
    finally:
        await clean(lone_cluster)
