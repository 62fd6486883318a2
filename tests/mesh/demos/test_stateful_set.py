"""OSM's documented demo of a StatefulSet: servers that call each other by the names of their pods.

OSM had ZooKeeper and Kafka, for which there is no wheel. Here it is Valkey with two replicas.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.mesh.harness import MeshUnderTest, local_mesh, puppet, tcp_access

from .clients import CURL, apply, manifest, statistic

PODS = ("valkey-0", "valkey-1", "valkey-2")


def config(mode: str) -> str:
    return f"""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: osm-mesh-config, namespace: osm-system}}
spec: {{sidecar: {{localProxyMode: {mode}}}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(puppet("curl") + "---\n" + manifest("valkey"))
    (directory / "config.yaml").write_text(config("PodIP"))
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(4)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def tell(mesh: MeshUnderTest, pod: str, command: str) -> str:
    """The first lines of a database's answer; empty when the connection closes."""
    host = f"{pod}.valkey.valkey.svc.cluster.local"
    return (await mesh.talk(CURL, host, 6379, command + "\r\n"))[1]


async def test_pods_of_a_stateful_set_call_each_other_by_name(mesh: MeshUnderTest) -> None:
    assert [await tell(mesh, pod, "PING") for pod in PODS] == ["", "", ""]
    await apply(mesh, "access.yaml", tcp_access("client", "valkey/valkey", ("curl/curl",), (6379,)))
    assert [await tell(mesh, pod, "PING") for pod in PODS] == ["+PONG\r\n"] * 3
    # Without waiting for more replicas, and without a file in the directory where tests run.
    assert await tell(mesh, "valkey-0", "CONFIG SET repl-diskless-sync-delay 0") == "+OK\r\n"
    for replica in PODS[1:]:
        assert await tell(mesh, replica, "CONFIG SET repl-diskless-load swapdb") == "+OK\r\n"
        order = "REPLICAOF valkey-0.valkey.valkey.svc.cluster.local 6379"
        assert await tell(mesh, replica, order) == "+OK\r\n"
    assert await tell(mesh, "valkey-0", "SET message produced") == "+OK\r\n"
    linked = "master_link_status:up"

    async def tried() -> bool:
        attempts = "cluster.valkey/valkey|6379.upstream_cx_total"
        return await statistic(mesh, "valkey/valkey-1", attempts) > 0

    await mesh.wait_for(tried, "the replica calls")
    assert linked not in await tell(mesh, "valkey-1", "INFO replication"), "nobody has allowed it"
    assert await tell(mesh, "valkey-1", "GET message") == "$-1\r\n"

    await apply(
        mesh,
        "access.yaml",
        tcp_access("client", "valkey/valkey", ("curl/curl",), (6379,)),
        tcp_access("peers", "valkey/valkey", ("valkey/valkey",), (6379,)),
    )

    async def consumed() -> bool:
        answers = [await tell(mesh, pod, "GET message") for pod in PODS]
        return answers == ["$8\r\nproduced\r\n"] * 3

    await mesh.wait_for(consumed, "both replicas have what was written", within=20)
    link = await tell(mesh, "valkey-1", "INFO replication")
    assert linked in link and "master_host:valkey-0.valkey.valkey.svc" in link
    assert (await tell(mesh, "valkey-1", "SET message x")).startswith("-READONLY")


async def test_what_listens_at_its_pods_address_alone_needs_the_mode_for_it(
    mesh: MeshUnderTest,
) -> None:
    await apply(mesh, "config.yaml", config("Localhost"))
    assert await tell(mesh, "valkey-0", "PING") == ""
    await apply(mesh, "config.yaml", config("PodIP"))
    assert await tell(mesh, "valkey-0", "PING") == "+PONG\r\n"
