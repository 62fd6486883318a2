"""The verbs of a local mesh on a cluster: through a real API server, by forwarded ports."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.unit.cli.calls import mesh_after

from osm.core.explain.view import MeshView, ReplicaView

from .kubelet import Kubelet, create_pod, kubelet
from .meshes import second_replica, standing_mesh, standing_shop
from .verbs import nobody_special, osm, stand_for_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def node(cluster: ControlPlane) -> AsyncIterator[Kubelet]:
    async with kubelet(cluster) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane, node: Kubelet) -> AsyncIterator[str]:
    async with standing_mesh(cluster, node) as name:
        yield name


@pytest_asyncio.fixture(loop_scope="session")
async def shop(cluster: ControlPlane, namespace: str, node: Kubelet) -> AsyncIterator[str]:
    async with standing_shop(cluster, namespace, node):
        yield namespace


async def test_status_speaks_to_the_mesh_that_is_named(cluster: ControlPlane, mesh: str) -> None:
    result = await osm(cluster, "status", "--mesh", mesh)
    assert result.code == 1, result.err  # the bookstore of tests is not well
    assert "Proxies:      5 of 6 in sync" in result.out
    listed = await osm(cluster, "proxy", "list", "--osm-namespace", mesh, "-o", "name")
    assert "bookstore/bookstore-v2" in listed.out.splitlines()


async def test_explain_and_get_answer_as_on_a_local_mesh(cluster: ControlPlane, mesh: str) -> None:
    asked = ("explain", "bookthief", "bookstore:14001", "GET", "/", "--context", "test")
    explained = await osm(cluster, *asked, "--mesh", mesh)
    assert explained.code == 1
    assert "no TrafficTarget allows bookthief/bookthief" in explained.out
    got = await osm(cluster, "get", "traffictargets", "-A", "-o", "name", "--mesh", mesh)
    assert got.code == 0, got.err
    assert "traffictarget.access.smi-spec.io/" in got.out


async def test_all_replicas_are_asked_for_their_proxies(
    cluster: ControlPlane, mesh: str, node: Kubelet
) -> None:
    def elsewhere(view: MeshView) -> MeshView:
        other = msgspec.structs.replace(view.proxies[0], name="elsewhere")
        replicas = (ReplicaView("osm-controller-2", 1, leads=True),)
        return msgspec.structs.replace(view, proxies=(*view.proxies, other), replicas=replicas)

    alone = await osm(cluster, "proxy", "list", "--mesh", mesh, "-o", "name")
    assert "elsewhere" not in alone.out
    async with second_replica(cluster, node, mesh, mesh_after(42, elsewhere)):
        both = await osm(cluster, "proxy", "list", "--mesh", mesh, "-o", "name")
        assert "bookbuyer/elsewhere" in both.out.splitlines()
        assert set(alone.out.splitlines()) < set(both.out.splitlines())
        status = await osm(cluster, "status", "--mesh", mesh)
        assert "Replicas:     1: osm-controller-2 (leads, 1 proxy)\n" in status.out
        asked = ("explain", "bookbuyer", "bookstore:14001", "GET", "/", "--mesh", mesh)
        assert (await osm(cluster, *asked)).code == 0
    # One that is gone is no reason not to answer.
    assert (await osm(cluster, "proxy", "list", "--mesh", mesh, "-o", "name")).out == alone.out


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (("apply", "-f", "demo:access"), "kubectl apply"),
        (("delete", "traffictarget", "x"), "kubectl delete"),
        (("down", "--context", "test"), "osm uninstall mesh"),
    ],
)
async def test_what_changes_a_cluster_is_left_to_others(
    cluster: ControlPlane, mesh: str, arguments: tuple[str, ...], instead: str
) -> None:
    result = await osm(cluster, *arguments, "--mesh", mesh)
    assert (result.code, result.out) == (2, "")
    assert f"Use: {instead}" in result.err


async def test_a_control_plane_that_is_not_ready_is_named(
    cluster: ControlPlane, namespace: str, node: Kubelet
) -> None:
    mesh = namespace[:20]
    nothing = await osm(cluster, "status", "--osm-namespace", namespace)
    assert nothing.code == 1
    assert nothing.err.startswith("Error: The cluster has no mesh.")
    await stand_for_mesh(cluster, namespace, mesh)
    empty = await osm(cluster, "status", "--mesh", mesh)
    assert empty.code == 1
    assert f"The control plane of the mesh {mesh} is not ready: there is no pod." in empty.err
    labels = {"app": "osm-controller"}
    await create_pod(cluster, namespace, "c-1", node=node.node, labels=labels, ready=False)
    unready = await osm(cluster, "status", "--mesh", mesh)
    assert "is not ready: c-1 is Running, not ready." in unready.err
    assert f"kubectl get pods -n {namespace} -l app=osm-controller" in unready.err


async def test_a_control_plane_without_the_port_is_told_from_a_mistake(
    cluster: ControlPlane, namespace: str, node: Kubelet
) -> None:
    mesh = namespace[:20]
    await stand_for_mesh(cluster, namespace, mesh)
    labels = {"app": "osm-controller"}
    await create_pod(cluster, namespace, "old-1", node=node.node, labels=labels)
    result = await osm(cluster, "status", "--mesh", mesh)
    assert result.code == 1
    assert f"The control plane in {namespace}/old-1 does not answer" in result.err
    assert "failed to dial 9094: connection refused" in result.err
    assert "Traceback" not in result.err


async def test_who_may_not_look_is_told_so(
    cluster: ControlPlane, namespace: str, mesh: str
) -> None:
    config = await nobody_special(cluster, namespace)
    result = await osm(cluster, "status", kubeconfig=config)
    assert result.code == 1
    assert "is forbidden" in result.err
    # One who may look for the mesh, and not forward to it.
    rules = ("--verb=list,get", "--resource=deployments.apps,pods")
    await cluster.kubectl("create", "clusterrole", mesh, *rules)
    who = f"--serviceaccount={namespace}:default"
    await cluster.kubectl("create", "clusterrolebinding", mesh, f"--clusterrole={mesh}", who)
    try:
        refused = await osm(cluster, "status", "--mesh", mesh, kubeconfig=config)
    finally:
        await cluster.kubectl("delete", "clusterrolebinding,clusterrole", mesh)
    assert refused.code == 1
    assert f"You may not forward a port of {mesh}/osm-controller-1" in refused.err


async def test_no_cluster_at_all_is_said_in_words(cluster: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    gone = tmp_path / "gone.kubeconfig"
    gone.write_text(json.dumps(config))
    result = await osm(cluster, "status", kubeconfig=gone)
    assert result.code == 1
    assert "The cluster does not answer" in result.err
    assert "No mesh runs on this machine either" in result.err
    context = await osm(cluster, "status", "--context", "nothing")
    assert context.code == 1
    assert "Traceback" not in context.err


async def test_a_proxy_is_asked_by_its_own_pod(cluster: ControlPlane, shop: str) -> None:
    got = await osm(cluster, "proxy", "get", "config_dump?x=1", "cart", "-n", shop)
    assert got == (0, "asked: GET /config_dump?x=1\n", "")
    put = await osm(cluster, "proxy", "set", "logging?level=debug", f"{shop}/cart")
    assert put == (0, "asked: POST /logging?level=debug\n", "")
    nothing = await osm(cluster, "proxy", "get", "nothing", f"{shop}/cart")
    assert nothing.code == 1
    assert "The proxy answered 404" in nothing.err


async def test_the_answer_goes_to_a_file_by_a_port_of_choice(
    cluster: ControlPlane, shop: str, tmp_path: Path
) -> None:
    file = tmp_path / "clusters.txt"
    result = await osm(
        cluster, "proxy", "get", "clusters", "cart", "-n", shop, "-f", str(file), "-p", "45871"
    )
    assert result == (0, "", "")
    assert file.read_text() == "asked: GET /clusters\n"


@pytest.mark.parametrize(
    ("pod", "code", "said"),
    [
        ("nobody", 2, "There is no pod nobody in the namespace"),
        ("plain", 2, "is not part of a mesh: it has no label osm-proxy-uuid."),
        ("waiting", 1, "is not running: it is Pending."),
    ],
)
async def test_a_pod_without_a_proxy_is_told_apart(
    cluster: ControlPlane, shop: str, pod: str, code: int, said: str
) -> None:
    result = await osm(cluster, "proxy", "get", "clusters", pod, "-n", shop)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


async def test_logs_come_from_the_pods_containers(
    cluster: ControlPlane, mesh: str, shop: str, node: Kubelet
) -> None:
    node.logs["cart", "cart"] = "2026-11-21T10:00:00Z one\n2026-11-21T10:00:02Z two\n"
    node.logs["cart", "envoy"] = "2026-11-21T10:00:01Z denied source=a/b\n"
    await create_pod(cluster, shop, "bookbuyer", node=node.node)
    told = await osm(cluster, "logs", f"{shop}/cart", "--mesh", mesh)
    assert told == (0, "one\ntwo\n", "")
    proxy = await osm(cluster, "logs", f"{shop}/cart", "--proxy", "--mesh", mesh)
    assert proxy == (0, "denied source=a/b\n", "")
    last = await osm(cluster, "logs", f"{shop}/cart", "--tail", "1", "--mesh", mesh)
    assert last.out == "two\n"
    followed = await osm(cluster, "logs", f"{shop}/cart", "-f", "--mesh", mesh)
    assert followed.out == "one\ntwo\n"
