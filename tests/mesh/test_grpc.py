"""gRPC, HTTP/2 in clear text and upgraded connections through two real proxies."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service

CLIENT, STRANGER = "client/client-0", "stranger/stranger-0"
GRPC, WEB, ODD = 50051, 8000, 8080
PROTOCOLS = {"grpc": 7001, "http2": 7002, "h2c": 7003}
"""Service ports by how they say that they speak HTTP/2. All lead to one server."""
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("stranger"),
        puppet("server", arguments=(f"--grpc={GRPC}",)),
        *(
            service(name, namespace="server", selector={"app": "server"}, ports=ports)
            for name, ports in (
                *((kind, ((port, GRPC, kind),)) for kind, port in PROTOCOLS.items()),
                ("web", ((80, WEB, "http"),)),
            )
        ),
        # Here gRPC hides behind a port that only says "http", in a workload of its own: a target
        # port has one protocol.
        puppet("plain", arguments=(f"--grpc={GRPC}",)),
        service("plain", ports=((ODD, GRPC, "http"),)),
    )
)
ACCESS = "---".join(
    (
        http_access(
            "echo", "server/server", ("client/client",), path="/osm.demo.Echo/.*", methods=("POST",)
        ),
        http_access(
            "say", "plain/plain", ("client/client",), path="/osm.demo.Echo/Say", methods=("POST",)
        ),
        http_access("web", "server/server", ("client/client",), path="/socket", methods=("GET",)),
    )
)
CALL = """
import grpc
def code(error):
    return error.code().name
with grpc.insecure_channel({target!r}) as channel:
    say = channel.unary_unary("/osm.demo.Echo/{unary}")
    chat = channel.stream_stream("/osm.demo.Echo/Chat")
    try:
        answer, call = say.with_call(b"hello", timeout=5)
        said = [answer.decode(), dict(call.initial_metadata()).get("identity")]
    except grpc.RpcError as error:
        said = [code(error), error.details()]
    try:
        chatted = [m.decode() for m in chat(iter([b"a", b"b", b"c"]), timeout=5)]
    except grpc.RpcError as error:
        chatted = code(error)
result = [said, chatted]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "access.yaml").write_text(ACCESS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(4)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(mesh: MeshUnderTest, pod: str, target: str, unary: str = "Say") -> Any:
    return await mesh.run(pod, CALL.format(target=target, unary=unary))


@pytest.mark.parametrize(("kind", "port"), PROTOCOLS.items())
async def test_grpc_calls_and_streams_pass_where_a_rule_allows_them(
    mesh: MeshUnderTest, kind: str, port: int
) -> None:
    said, chatted = await call(mesh, CLIENT, f"{kind}.server:{port}")
    assert said == ["hello", "server-0"]
    assert chatted == ["a", "b", "c"]


async def test_grpc_passes_on_a_port_that_only_says_http(mesh: MeshUnderTest) -> None:
    said, chatted = await call(mesh, CLIENT, f"plain.plain:{ODD}")
    assert said == ["hello", "plain-0"]
    assert chatted == "PERMISSION_DENIED", "the rule names one method, and no other"


@pytest.mark.parametrize("target", ["grpc.server:7001", f"plain.plain:{ODD}"])
async def test_a_denied_call_ends_with_permission_denied(mesh: MeshUnderTest, target: str) -> None:
    said, chatted = await call(mesh, STRANGER, target)
    assert said[0] == chatted == "PERMISSION_DENIED"


async def test_a_method_that_the_server_lacks_is_unimplemented_and_not_denied(
    mesh: MeshUnderTest,
) -> None:
    said, _ = await call(mesh, CLIENT, "grpc.server:7001", "Sing")
    assert said[0] == "UNIMPLEMENTED"


async def test_an_unknown_grpc_service_is_unimplemented_at_once(mesh: MeshUnderTest) -> None:
    # gRPC's mapping of HTTP's 404, which is what the proxy answers.
    said, _ = await call(mesh, CLIENT, "grpc.server:80")
    assert said[0] in ("UNIMPLEMENTED", "UNAVAILABLE")


async def test_many_calls_share_a_channel_and_none_fails(mesh: MeshUnderTest) -> None:
    program = """
        import grpc
        with grpc.insecure_channel("grpc.server:7001") as channel:
            say = channel.unary_unary("/osm.demo.Echo/Say")
            waiting = [say.future(str(n).encode(), timeout=10) for n in range(300)]
            result = [int(w.result()) for w in waiting] == list(range(300))
        """
    assert await mesh.run(CLIENT, program) is True


async def test_an_upgraded_connection_carries_bytes_both_ways(mesh: MeshUnderTest) -> None:
    program = """
        import socket
        with socket.create_connection(("web.server", 80), 5) as line:
            line.sendall(
                b"GET {path} HTTP/1.1\\r\\nHost: web.server\\r\\nConnection: Upgrade\\r\\n"
                b"Upgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
            )
            head = line.recv(65536)
            status = head.split(b"\\r\\n")[0].decode()
            echoed = []
            if " 101 " in status:
                for text in (b"one", b"two"):
                    line.sendall(text)
                    echoed.append(line.recv(100).decode())
        result = [status, echoed]
        """
    status, echoed = await mesh.run(CLIENT, program.replace("{path}", "/socket"))
    assert " 101 " in status and echoed == ["one", "two"]
    status, echoed = await mesh.run(CLIENT, program.replace("{path}", "/other"))
    assert " 403 " in status and echoed == []
    status, echoed = await mesh.run(STRANGER, program.replace("{path}", "/socket"))
    assert " 403 " in status and echoed == []
