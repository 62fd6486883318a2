"""What an Egress lets through leaves a pod that has a network of its own, and nothing else does."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from osm.core.model.way_out import HOST_ADDRESS, HOST_NAME
from osm.local import gateway
from osm.local.relay import Connection
from osm.runtime import way_out
from osm.testing.builders import egress, mesh_config

from .beyond import certificate
from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, tcp_access
from .test_bypass import _listening

CLIENT, OTHER = "client/client-0", "other/other-0"
ECHO = 9000
FAR = "198.51.100.7"
"""Reserved for documentation (RFC 5737): here, what is beyond the mesh on this machine."""
NAMES = {"outside.test": FAR, "a.wild.test": FAR, "keys.test": "169.254.169.254"}
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("other"),
        puppet("server", arguments=(f"--echo={ECHO}",)),
        service("server", ports=((80, 8000, "http"), (ECHO, ECHO, "tcp"))),
        http_access("web", "server/server", ("client/client",)),
        tcp_access("tcp", "server/server", ("client/client",)),
    )
)


class Beyond:
    """Servers of this machine, by what they speak, and their ports."""

    def __init__(self, http: int, tls: int, tcp: int) -> None:
        self.http, self.tls, self.tcp = http, tls, tcp


async def _answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(head.decode().split("\r\n")[:-2]).encode()
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(f"HTTP/1.1 200 OK\r\n{length}".encode() + body)
    await writer.drain()
    writer.close()


async def _answer_backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read(-1))[::-1])
    await writer.drain()
    writer.close()


async def _beyond(_: str) -> Sequence[str]:
    return [NAMES[_]] if _ in NAMES else []


async def _open(address: str, port: int) -> Connection:
    assert address in (FAR, "127.0.0.1"), address
    return await asyncio.open_connection("127.0.0.1", port)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outside(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Beyond]:
    context: ssl.SSLContext = certificate(tmp_path_factory.mktemp("tls"))
    async with (
        await asyncio.start_server(_answer_http, "127.0.0.1") as http,
        await asyncio.start_server(_answer_http, "127.0.0.1", ssl=context) as tls,
        await asyncio.start_server(_answer_backwards, "127.0.0.1") as tcp,
    ):
        yield Beyond(*(each.sockets[0].getsockname()[1] for each in (http, tls, tcp)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(way_out, "look_up", _beyond)
        patch.setattr(gateway, "_open", _open)
        async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
            await running.wait_ready(3)
            yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@contextmanager
def policies(mesh: MeshUnderTest, *objects: object) -> Iterator[None]:
    mesh.write("policy.yaml", yaml.safe_dump_all(objects))
    try:
        yield
    finally:
        mesh.remove("policy.yaml")


def leaving(name: str, ports: list[str], *hosts: str, ranges: Sequence[str] = ()) -> object:
    return egress(name, ["client/client"], ports, *hosts, namespace="client", ranges=ranges)


async def address(mesh: MeshUnderTest, pod: str, name: str) -> str:
    """What a name means in a pod; empty when it means nothing there."""
    program = f"""
        import socket
        try:
            result = socket.gethostbyname({name!r})
        except OSError:
            result = ""
        """
    found: str = await mesh.run(pod, program)
    return found


async def backwards(mesh: MeshUnderTest, pod: str, host: str, port: int, size: int = 3) -> bool:
    """Whether a server gives back all bytes in the other order, after it has read them to the end."""
    program = f"""
        import socket
        data = bytes(range(256)) * ({size} // 256 + 1)
        try:
            with socket.create_connection(({host!r}, {port}), 5) as line:
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
                back = b""
                while piece := line.recv(65536):
                    back += piece
            result = back == data[::-1]
        except OSError:
            result = False
        """
    found: bool = await mesh.run(pod, program)
    return found


async def tls_status(mesh: MeshUnderTest, pod: str, host: str, port: int, name: str) -> str:
    """The first line of the answer to a request over TLS; empty when there is none."""
    program = f"""
        import socket, ssl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection(({host!r}, {port}), 5) as plain:
                with context.wrap_socket(plain, server_hostname={name!r}) as line:
                    line.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
                    result = line.recv(1000).decode().split("\\r\\n")[0]
        except OSError:
            result = ""
        """
    found: str = await mesh.run(pod, program)
    return found


async def test_without_a_policy_no_name_and_no_address_is_beyond(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    for name in ("outside.test", HOST_NAME):
        assert await address(mesh, CLIENT, name) == ""
    for place in (FAR, HOST_ADDRESS, "127.0.0.1"):
        outcome, _ = await mesh.talk(CLIENT, place, outside.tcp)
        assert outcome in ("closed", "refused"), place


async def test_http_leaves_by_its_host_and_comes_back_whole(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    url = f"http://outside.test:{outside.http}/a?b=c"
    with policies(mesh, leaving("web", [f"http:{outside.http}"], "outside.test")):
        await mesh.settle()
        assert await address(mesh, CLIENT, "outside.test") == FAR
        status, headers, body = await mesh.get(CLIENT, url)
        assert status == 200 and headers["server"] == "envoy"
        lines = json.loads(body)
        assert lines[0] == "GET /a?b=c HTTP/1.1"
        assert f"host: outside.test:{outside.http}" in lines
        # Another identity may not, and does not even learn where it is.
        assert await address(mesh, OTHER, "outside.test") == ""
        assert (await mesh.ask(OTHER, FAR, outside.http))[0] in (0, 404)
        # Who leads the proxy to another place than the host's gets the host nevertheless.
        status, _, body = await mesh.ask(
            CLIENT,
            "198.51.100.99",
            outside.http,
            headers=[("Host", f"outside.test:{outside.http}")],
        )
        assert status == 200 and json.loads(body)[0] == "GET / HTTP/1.1"
        assert (await mesh.get(CLIENT, "http://server.server/"))[0] == 200  # and the mesh is there
    await mesh.settle()
    assert await address(mesh, CLIENT, "outside.test") == ""
    assert (await mesh.ask(CLIENT, FAR, outside.http))[0] in (0, 404)


async def test_https_leaves_by_the_server_name_that_is_asked_for(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    with policies(mesh, leaving("tls", [f"https:{outside.tls}"], "outside.test", "*.wild.test")):
        await mesh.settle()
        for name in ("outside.test", "a.wild.test"):
            assert await address(mesh, CLIENT, name) == FAR
            found = await tls_status(mesh, CLIENT, name, outside.tls, name)
            assert found == "HTTP/1.1 200 OK", name
        assert await tls_status(mesh, CLIENT, FAR, outside.tls, "inner.test") == ""
        assert await address(mesh, CLIENT, "wild.test") == ""


async def test_tcp_leaves_by_port_and_address_and_no_byte_changes(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    port = outside.tcp
    with policies(mesh, leaving("tcp", [f"tcp:{port}"], ranges=["198.51.100.0/28"])):
        await mesh.settle()
        assert await address(mesh, CLIENT, "outside.test") == FAR
        assert await backwards(mesh, CLIENT, "outside.test", port, size=5_000_000)
        assert not await backwards(mesh, CLIENT, "198.51.100.99", port)
        assert not await backwards(mesh, OTHER, FAR, port)


async def test_mesh_wide_egress_lets_everything_leave_but_to_this_machine(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    with policies(mesh, mesh_config(traffic={"enableEgress": True})):
        await mesh.settle()
        for pod in (CLIENT, OTHER):
            assert (await mesh.get(pod, f"http://outside.test:{outside.http}/"))[0] == 200
            found = await tls_status(mesh, pod, "outside.test", outside.tls, "outside.test")
            assert found == "HTTP/1.1 200 OK"
            assert await backwards(mesh, pod, "outside.test", outside.tcp)
            for place in (HOST_NAME, HOST_ADDRESS, "keys.test", "169.254.169.254"):
                assert not await backwards(mesh, pod, place, outside.tcp), place
        assert await address(mesh, CLIENT, "keys.test") == ""


async def test_this_machines_loopback_is_there_for_who_names_it(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    ports = [f"http:{outside.http}", f"https:{outside.tls}", f"tcp:{outside.tcp}"]
    own = egress("host", ["client/client"], ports, HOST_NAME, namespace="client")
    with _listening(socket.AF_INET, ("127.0.0.1", 0)) as (line, reached), policies(mesh, own):
        await mesh.settle()
        assert await address(mesh, CLIENT, HOST_NAME) == HOST_ADDRESS
        assert (await mesh.get(CLIENT, f"http://{HOST_NAME}:{outside.http}/"))[0] == 200
        found = await tls_status(mesh, CLIENT, HOST_NAME, outside.tls, HOST_NAME)
        assert found == "HTTP/1.1 200 OK"
        assert await backwards(mesh, CLIENT, HOST_NAME, outside.tcp)
        outcome, _ = await mesh.talk(CLIENT, HOST_NAME, line.getsockname()[1])
        assert outcome in ("closed", "refused")
        assert not await backwards(mesh, OTHER, HOST_ADDRESS, outside.tcp)
        assert not reached()


async def test_many_connections_leave_at_once_and_none_is_left_over(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    program = f"""
        import concurrent.futures, urllib.request
        def get(_):
            with urllib.request.urlopen("http://outside.test:{outside.http}/", timeout=10) as answer:
                return answer.status
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            result = sum(status == 200 for status in pool.map(get, range(200)))
        """
    with policies(mesh, leaving("web", [f"http:{outside.http}"], "outside.test")):
        await mesh.settle()
        assert await mesh.run(CLIENT, program) == 200


async def test_a_program_that_ignores_the_mesh_has_no_way_out(mesh: MeshUnderTest) -> None:
    """The gateway is a file that programs do not see, and datagrams have no route at all."""
    program = f"""
        import os, socket
        result = [os.path.exists({str(mesh.runtime / "out.sock")!r})]
        for family, place in ((socket.AF_INET, "198.51.100.7"), (socket.AF_INET6, "2001:db8::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                try:
                    line.sendto(b"x", (place, 53))
                    result.append("sent")
                except OSError as error:
                    result.append(error.strerror)
        """
    with policies(mesh, mesh_config(traffic={"enableEgress": True})):
        await mesh.settle()
        unreachable = "Network is unreachable"
        assert await mesh.run(CLIENT, program) == [False, unreachable, unreachable]


def alias(name: str, target: str) -> object:
    spec = {"type": "ExternalName", "externalName": target}
    metadata = {"name": name, "namespace": "client"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_an_alias_is_called_as_what_it_stands_for(
    mesh: MeshUnderTest, outside: Beyond
) -> None:
    names = [
        alias("shop", "server.server.svc.cluster.local"),
        alias("again", "shop"),
        alias("db", "outside.test"),
        alias("loop", "loop"),
        alias("own", "127.0.0.1"),
        leaving("web", [f"http:{outside.http}", f"tcp:{outside.tcp}"], "outside.test"),
    ]
    with policies(mesh, *names):
        await mesh.settle()
        for name in ("shop", "again", "shop.client", "again.client.svc.cluster.local"):
            status, _, body = await mesh.get(CLIENT, f"http://{name}/")
            assert status == 200, name
            seen = json.loads(body)
            assert (seen["name"], seen["host"]) == ("server-0", name)
            assert await mesh.talk(CLIENT, name, ECHO) == ("answered", "ping")
        # Access is decided by what it stands for.
        assert (await mesh.get(OTHER, "http://shop.client/"))[0] == 403
        assert (await mesh.talk(OTHER, "shop.client", ECHO))[0] == "closed"
        status, _, body = await mesh.get(CLIENT, f"http://db:{outside.http}/x")
        assert status == 200
        assert f"host: db:{outside.http}" in json.loads(body)
        assert await backwards(mesh, CLIENT, "db.client", outside.tcp)
        assert await address(mesh, OTHER, "db.client") == ""
        for name in ("loop", "own"):
            assert await address(mesh, CLIENT, name) == ""
