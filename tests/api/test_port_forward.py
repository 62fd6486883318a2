"""Ports of pods on this machine: through a real API server, to a kubelet that stands in for one."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.kubernetes.api_server import ApiServer, Status
from osm.kubernetes.port_forward import PodPort, forwarded

from .kubelet import Kubelet, create_pod, kubelet

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def node(cluster: ControlPlane) -> AsyncIterator[Kubelet]:
    async with kubelet(cluster) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def server(cluster: ControlPlane) -> AsyncIterator[ApiServer]:
    server = ApiServer.open(cluster.kubeconfig)
    yield server
    await server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says back what it hears, and ends after `bye`."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
        if data.endswith(b"bye"):
            break
    writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pod(cluster: ControlPlane, namespace: str, node: Kubelet) -> AsyncIterator[str]:
    listener = await asyncio.start_server(echo, "127.0.0.1", 0)
    await create_pod(cluster, namespace, "app", node=node.node)
    node.ports["app", 9094] = listener.sockets[0].getsockname()[1]
    yield "app"
    listener.close()


async def test_many_connections_and_much_data_go_both_ways(
    server: ApiServer, namespace: str, pod: str
) -> None:
    async def talk(number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(forward.socket)
        sent = os.urandom(300_000) + f"{number} bye".encode()
        writer.write(sent)
        # The far side ends after its last word, and so does this one: nothing of it is lost.
        assert await asyncio.wait_for(reader.read(-1), 20) == sent
        writer.close()

    async with forwarded(server, PodPort(namespace, pod, 9094)) as forward:
        folder = forward.socket.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        await asyncio.gather(*(talk(number) for number in range(5)))
        assert forward.problem is None
    assert not folder.exists()


async def test_a_port_of_loopback_is_taken_when_one_is_wanted(
    server: ApiServer, namespace: str, pod: str
) -> None:
    async with forwarded(server, PodPort(namespace, pod, 9094), port=0) as forward:
        reader, writer = await asyncio.open_connection("127.0.0.1", forward.port)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 10) == b"hello"
    # The end of the forward is the end of its connections.
    assert await asyncio.wait_for(reader.read(), 10) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", forward.port)
    writer.close()


@pytest.mark.parametrize(
    ("pod_name", "port", "code", "said"),
    [
        ("app", 1, 502, "failed to dial 1: connection refused"),
        ("nobody", 9094, 404, 'pods "nobody" not found'),
    ],
)
async def test_what_stands_in_the_way_is_said(
    server: ApiServer, namespace: str, pod: str, pod_name: str, port: int, code: int, said: str
) -> None:
    async with forwarded(server, PodPort(namespace, pod_name, port)) as forward:
        reader, writer = await asyncio.open_unix_connection(forward.socket)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await eventually(lambda: forward.problem is not None, "the problem is known")
        assert isinstance(forward.problem, Status)
        assert forward.problem.code == code
        assert said in forward.problem.message


async def test_whoever_hangs_up_here_ends_the_connection_there(
    server: ApiServer, namespace: str, node: Kubelet, pod: str
) -> None:
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        ended.set()
        writer.close()

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    node.ports["app", 8080] = listener.sockets[0].getsockname()[1]
    async with forwarded(server, PodPort(namespace, pod, 8080)) as forward:
        _, writer = await asyncio.open_unix_connection(forward.socket)
        writer.write(b"x")
        writer.close()
        await asyncio.wait_for(ended.wait(), 10)
    listener.close()
