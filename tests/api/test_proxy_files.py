"""What proxies read is in each namespace of the mesh, soon, always, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import FaultProxy
from tests.waiting import eventually

from osm.core.install.names import PROXY_FILES, Installation
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.proxy_files import ProxyFilesKeeper

from .keeping import found, running, writes

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = {"roots.pem": "one root\n", "token_sds_secret.json": "{}"}


@asynccontextmanager
async def keeping(kubeconfig: Path, mesh: str) -> AsyncIterator[ProxyFilesKeeper]:
    server = ApiServer.open(kubeconfig)
    keeper = ProxyFilesKeeper(server, server.request, Installation(mesh), Random(1))
    async with running(keeper.run()):
        yield keeper
    await server.close()


async def data(cluster: ControlPlane, namespace: str) -> dict[str, str] | None:
    config_map = await found(cluster, "configmap", PROXY_FILES, "-n", namespace)
    return None if config_map is None else config_map["data"]


async def holds(cluster: ControlPlane, namespace: str, files: dict[str, str] | None) -> bool:
    return await data(cluster, namespace) == files


async def all_hold(
    cluster: ControlPlane, namespaces: set[str], files: dict[str, str] | None
) -> bool:
    return all([await holds(cluster, name, files) for name in namespaces])


async def test_a_namespace_that_joins_has_its_files_within_a_second(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        keeper.want({namespace}, FILES)
        while not writes(proxy):  # noqa: ASYNC110 - what kubectl takes to start is not measured
            await asyncio.sleep(0.005)
        assert loop.time() - started < 0.5
        await eventually(lambda: holds(cluster, namespace, FILES), "the files")
        config_map = await found(cluster, "configmap", PROXY_FILES, "-n", namespace)
        assert config_map is not None
        assert config_map["metadata"]["labels"] == {
            "app.kubernetes.io/name": "openservicemesh.io",
            "app.kubernetes.io/instance": namespace,
            "meshName": namespace,
        }
        for _ in range(30):
            keeper.want({namespace}, dict(FILES))
            await asyncio.sleep(0.1)
        assert writes(proxy) == 1


async def test_what_somebody_deletes_or_changes_comes_back_and_additions_stay(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        keeper.want({namespace}, FILES)
        await eventually(lambda: holds(cluster, namespace, FILES), "the files")
        await cluster.kubectl("delete", "configmap", PROXY_FILES, "-n", namespace)
        await eventually(lambda: holds(cluster, namespace, FILES), "there again", within=10)
        for patch in ('{"data": {"roots.pem": "evil"}}', '{"data": {"roots.pem": null}}'):
            await cluster.kubectl("patch", "configmap", PROXY_FILES, "-n", namespace, "-p", patch)
            await eventually(lambda: holds(cluster, namespace, FILES), "as it was", within=10)
        count = writes(proxy)
        added = {**FILES, "theirs": "x"}
        patch = '{"data": {"theirs": "x"}, "metadata": {"labels": {"theirs": "x"}}}'
        await cluster.kubectl("patch", "configmap", PROXY_FILES, "-n", namespace, "-p", patch)
        await asyncio.sleep(2)
        assert await data(cluster, namespace) == added and writes(proxy) == count


async def test_new_roots_go_to_every_namespace_and_the_next_leader_writes_nothing(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    names = {namespace, "default", "kube-public"}
    renewed = {**FILES, "roots.pem": "one root\nanother\n"}
    async with keeping(cluster.kubeconfig, namespace) as keeper:
        for files in (FILES, renewed):
            keeper.want(names, files)
            await eventually(lambda files=files: all_hold(cluster, names, files), "there")  # type: ignore[misc]
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        keeper.want(names, renewed)
        await asyncio.sleep(3)
        assert writes(proxy) == 0
        keeper.want({namespace}, renewed)
        await eventually(lambda: all_hold(cluster, names - {namespace}, None), "removed")


async def test_a_namespace_that_leaves_loses_them_unless_they_are_somebody_elses(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        keeper.want({namespace}, FILES)
        await eventually(lambda: holds(cluster, namespace, FILES), "the files")
        keeper.want(frozenset(), FILES)
        await eventually(lambda: holds(cluster, namespace, None), "removed")

        keeper.want({namespace}, FILES)
        await eventually(lambda: holds(cluster, namespace, FILES), "again")
        other = {**FILES, "roots.pem": "of another mesh\n"}
        async with keeping(cluster.kubeconfig, "another-mesh") as theirs:
            keeper.want(frozenset(), FILES)
            theirs.want({namespace}, other)
            await eventually(lambda: holds(cluster, namespace, other), "theirs now")
            await asyncio.sleep(2)
            assert await data(cluster, namespace) == other


async def test_nothing_is_changed_while_the_files_are_not_known(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with keeping(cluster.kubeconfig, namespace) as keeper:
        keeper.want({namespace}, FILES)
        await eventually(lambda: holds(cluster, namespace, FILES), "the files")
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        keeper.want({namespace}, {})
        await asyncio.sleep(2)
        assert writes(proxy) == 0 and await data(cluster, namespace) == FILES


async def test_a_namespace_that_is_going_or_gone_makes_no_storm(
    cluster: ControlPlane, proxy: FaultProxy
) -> None:
    name = "going"
    await cluster.kubectl("create", "namespace", name)
    # With a finalizer nobody clears, so that it stays in the state in which nothing can be made.
    stuck = (
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"stuck","finalizers":["a.b/c"]}}'
    )
    await cluster.kubectl("create", "-n", name, "-f", "-", text=stuck)
    await cluster.kubectl("delete", "namespace", name, "--wait=false")
    async with keeping(proxy.kubeconfig, "going") as keeper:
        keeper.want({name, "never-was"}, FILES)
        await asyncio.sleep(4)
        assert 2 <= writes(proxy) <= 6
        free = '{"metadata": {"finalizers": null}}'
        await cluster.kubectl("patch", "configmap", "stuck", "-n", name, "-p", free)


async def test_a_label_that_flaps_ends_right(
    cluster: ControlPlane,
    proxy: FaultProxy,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six writes in ten seconds, where the product makes them in sixty."""
    monkeypatch.setattr("osm.kubernetes.proxy_files.OFTEN", (6, 10.0))
    async with keeping(proxy.kubeconfig, namespace) as keeper:
        for turn in range(60):
            keeper.want({namespace} if turn % 2 else frozenset(), FILES)
            await asyncio.sleep(0.05)
        assert writes(proxy) <= 6
        keeper.want({namespace}, FILES)
        await eventually(lambda: holds(cluster, namespace, FILES), "the files", within=12)
