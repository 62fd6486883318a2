"""A workload that tries to get around its proxy, or to be somebody else, fails."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cryptography import x509

from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from osm.core.model.identity import Identity
from osm.core.xds import types
from osm.ports import KeyPair

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, tcp_access
from .intruder import (
    XdsClient,
    client_context,
    exchange,
    http_request,
    identity,
    open_tresor,
    open_xds,
    proxy_identity,
)

CLIENT, THIEF, SERVER = "client/client-0", "thief/thief-0", "server/server-0"
WEB, ECHO, BANNER = 8000, 9000, 9001
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("thief"),
        puppet("server", arguments=(f"--echo={ECHO}", f"--banner={BANNER}")),
        service(
            "server",
            ports=((80, WEB, "http"), (ECHO, ECHO, "tcp"), (BANNER, BANNER, "tcp-server-first")),
        ),
        puppet("open"),
        service("open"),
        http_access("web", "server/server", ("client/client",)),
        tcp_access("tcp", "server/server", ("client/client",)),
        http_access("open", "open/open", ("client/client", "thief/thief")),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(4)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


# From inside of a workload


async def address_of(mesh: MeshUnderTest, pod: str) -> str:
    program = "import os, socket; result = socket.gethostbyname(os.environ['HOSTNAME'])"
    found: str = await mesh.run(pod, program)
    return found


@pytest.mark.parametrize("port", [80, WEB, ECHO, BANNER, 15000, 15001, 15003, 15010])
async def test_a_pods_own_address_leads_nowhere(mesh: MeshUnderTest, port: int) -> None:
    address = await address_of(mesh, SERVER)
    assert address.startswith("241.")
    request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"
    outcome, text = await mesh.talk(THIEF, address, port, request)
    assert outcome in ("closed", "refused") or text.startswith("HTTP/1.1 404 "), text
    assert SERVER.partition("/")[2] not in text


async def test_the_machines_own_ports_cannot_be_reached(mesh: MeshUnderTest) -> None:
    with _listening(socket.AF_INET, ("0.0.0.0", 0)) as (line, reached):
        port = line.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as look:
            try:  # the address by which the machine would talk to others; nothing is sent
                look.connect(("192.0.2.1", 9))
                own = look.getsockname()[0]
            except OSError:
                own = "127.0.0.1"
        for host in {"127.0.0.1", "127.0.0.2", own, socket.gethostname()}:
            outcome, _ = await mesh.talk(THIEF, host, port)
            assert outcome in ("closed", "refused"), host
        assert not reached()


async def test_abstract_sockets_of_the_machine_cannot_be_reached(mesh: MeshUnderTest) -> None:
    name = f"\0osm-{uuid.uuid4().hex}"
    with _listening(socket.AF_UNIX, name) as (_, reached):
        program = f"""
            import socket
            try:
                socket.socket(socket.AF_UNIX).connect({name!r})
                result = "connected"
            except OSError as error:
                result = type(error).__name__
            """
        assert await mesh.run(THIEF, program) == "ConnectionRefusedError"
        assert not reached()


async def test_ipv6_leads_nowhere(mesh: MeshUnderTest) -> None:
    with _listening(socket.AF_INET6, ("::", 0)) as (line, reached):
        port = line.getsockname()[1]
        for host in ("::1", "fe80::1%lo", "2001:db8::1", "::ffff:127.0.0.1"):
            outcome, _ = await mesh.talk(THIEF, host, port)
            assert outcome in ("closed", "refused"), host
        assert not reached()


async def test_datagrams_do_not_leave_the_workload(mesh: MeshUnderTest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("0.0.0.0", 0))
        line.setblocking(False)
        port = line.getsockname()[1]
        targets = ["127.0.0.1", "10.0.0.1", "255.255.255.255", await address_of(mesh, SERVER)]
        program = f"""
            import socket
            result = []
            for host in {targets!r}:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                    try:
                        line.sendto(b"x", (host, {port}))
                        result.append("sent")
                    except OSError as error:
                        result.append(error.strerror)
            """
        outcomes = dict(zip(targets, await mesh.run(THIEF, program), strict=True))
        assert outcomes["10.0.0.1"] == "Network is unreachable"
        await asyncio.sleep(0.1)
        with pytest.raises(BlockingIOError):
            line.recv(10)


async def test_pings_do_not_leave_the_workload(mesh: MeshUnderTest) -> None:
    program = """
        import socket
        result = []
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            try:
                with socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP) as line:
                    line.sendto(b"\\x08\\x00\\xf7\\xff" + bytes(4), ("10.0.0.1", 0))
                result.append("sent")
            except OSError as error:
                result.append(error.strerror)
        """
    assert "sent" not in await mesh.run(THIEF, program)


async def test_keys_and_sockets_of_the_mesh_are_out_of_sight(mesh: MeshUnderTest) -> None:
    hidden = [
        mesh.runtime / "ads.sock",
        mesh.runtime / "control.sock",
        mesh.runtime / "run.json",
        mesh.inbound_socket(SERVER, WEB),
        mesh.inbound_socket(THIEF, WEB).parent / "bootstrap.json",
        *(mesh.state / "ca").iterdir(),
    ]
    assert any(path.exists() for path in hidden) and len(hidden) >= 7
    program = f"""
        import os, socket
        result = {{}}
        for path in {[str(p) for p in hidden]!r}:
            try:
                os.stat(path)
                result[path] = "seen"
            except OSError as error:
                result[path] = type(error).__name__
        result["processes"] = [
            open(f"/proc/{{pid}}/cmdline").read() for pid in os.listdir("/proc") if pid.isdecimal()
        ]
        """
    found = await mesh.run(THIEF, program)
    processes = found.pop("processes")
    assert set(found.values()) <= {"FileNotFoundError", "PermissionError"}, found
    assert not any("envoy" in line for line in processes), processes
    assert len(processes) <= 3, "its own, and what holds it"


async def test_a_workload_cannot_undo_the_redirection(mesh: MeshUnderTest) -> None:
    program = """
        import socket
        from osm.local import network
        result = []
        for attempt in (
            lambda: network.redirect_to_proxy(8000),
            lambda: network.make_local("10.0.0.0", 8),
            lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1500),
        ):
            try:
                attempt()
                result.append("done")
            except OSError as error:
                result.append(error.errno)
        """
    assert await mesh.run(THIEF, program) == [1, 1, 1]


@pytest.mark.parametrize("port", [15000, 15001, 15003, 15010])
async def test_the_proxys_own_ports_are_no_way_out(mesh: MeshUnderTest, port: int) -> None:
    for host in ("127.0.0.1", "10.0.0.1"):
        request = "GET / HTTP/1.1\r\nHost: server.server\r\n\r\n"
        outcome, text = await mesh.talk(THIEF, host, port, request)
        assert outcome in ("closed", "refused"), (host, text)


@pytest.mark.parametrize(
    "host",
    [
        "server.server",
        "server.server:80",
        "SERVER.server.svc.cluster.local",
        "server.server.",
        "open.open, server.server",
        "server.server@open.open",
    ],
)
async def test_a_forged_host_meets_the_rules_of_whom_it_names(
    mesh: MeshUnderTest, host: str
) -> None:
    assert (await mesh.ask(THIEF, "open.open"))[0] == 200
    status, _, body = await mesh.ask(THIEF, "open.open", headers=[("Host", host)])
    assert status in (400, 403, 404), body
    assert "server-0" not in body


async def test_two_hosts_in_one_request_do_not_get_past_the_rules(mesh: MeshUnderTest) -> None:
    both = [("Host", "open.open"), ("Host", "server.server")]
    for headers in (both, both[::-1]):
        status, _, body = await mesh.ask(THIEF, "open.open", headers=headers)
        assert status in (400, 403, 404), body
    # The target names one service in full, the header another.
    status, _, body = await mesh.ask(
        THIEF, "open.open", target="http://server.server/", headers=[("Host", "open.open")]
    )
    assert status in (400, 403, 404), body


async def test_what_a_caller_says_of_itself_does_not_reach_the_application(
    mesh: MeshUnderTest,
) -> None:
    liar = "spiffe://cluster.local/ns/admin/sa/admin"
    forged = {
        "x-forwarded-client-cert": f"By=x;URI={liar}",
        "X-Forwarded-Client-Cert ": f"URI={liar}",
        "x-envoy-original-path": "/forged",
        "x-envoy-original-host": "forged.example",
        "x-envoy-external-address": "203.0.113.9",
        "x-envoy-internal": "true",
        "x-envoy-peer-metadata": "forged",
        "x-osm-denied": "forged",
        "x-osm-source": "forged",
    }
    headers = [(name, value) for name, value in forged.items() if not name.endswith(" ")]
    status, _, body = await mesh.ask(CLIENT, "server.server", headers=headers)
    assert status == 200
    seen = json.loads(body)
    own = "spiffe://cluster.local/ns/client/sa/client"
    assert seen["caller"].split("URI=")[1:] == [own], seen["caller"]
    assert liar not in body
    arrived = {name.lower(): value for name, value in seen["headers"].items()}
    lies = {name: arrived[name] for name, value in headers if arrived.get(name) == value}
    assert lies == {}


# From outside, with and without keys


async def test_the_right_certificate_is_served(mesh: MeshUnderTest, tmp_path: Path) -> None:
    """Without this the refusals below would prove nothing."""
    answer = await knock(mesh, tmp_path, await leaf(mesh, "client/client"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    pair = await leaf(mesh, "client/client")
    assert await knock(mesh, tmp_path, pair, ECHO, b"ping", enough=4) == b"ping"
    assert await knock(mesh, tmp_path, pair, BANNER, b"", enough=5) == b"hello from server-0\n"


@pytest.mark.parametrize("port", [WEB, ECHO, BANNER])
async def test_plaintext_gets_no_answer(mesh: MeshUnderTest, port: int) -> None:
    path = mesh.inbound_socket(SERVER, port)
    answer = await asyncio.to_thread(exchange, path, http_request(), None)
    # An alert of TLS may come (RFC 8446 §6), and nothing else.
    assert b"HTTP" not in answer and b"hello" not in answer
    assert len(answer) <= 7


async def test_a_certificate_of_another_identity_is_refused(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    for who in ("thief/thief", "client/other", "other/client", "server/server"):
        pair = await leaf(mesh, who)
        answer = await knock(mesh, tmp_path, pair)
        assert answer.startswith(b"HTTP/1.1 403 "), (who, answer)
        for port in (ECHO, BANNER):
            for data in (b"ping", b""):
                assert await knock(mesh, tmp_path, pair, port, data) == b"", who


async def test_a_bootstrap_certificate_is_worth_nothing_between_workloads(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    pair = await open_tresor(mesh.state).issue(proxy_identity(CLIENT))
    for port in (WEB, ECHO, BANNER):
        assert await knock(mesh, tmp_path, pair, port) == b""


async def test_a_certificate_of_another_authority_is_worth_nothing(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    """The other root has the same names, and certifies the same identity."""
    other = open_tresor(tmp_path / "other")
    pair = await other.issue(identity("client/client"))
    for port in (WEB, ECHO, BANNER):
        assert await knock(mesh, tmp_path, pair, port) == b""


async def test_without_a_certificate_there_is_no_answer(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    for port in (WEB, ECHO, BANNER):
        assert await knock(mesh, tmp_path, None, port) == b""


# At the control plane


async def test_a_proxy_that_lies_about_its_name_gets_its_own_configuration(
    mesh: MeshUnderTest,
) -> None:
    tresor = open_tresor(mesh.state)
    pair = await tresor.issue(proxy_identity(THIEF))
    async with xds(mesh, pair, node=SERVER) as client:
        listeners = await client.ask(types.LISTENER, ["*"])
        assert listeners.keys() == {"outbound-listener"}
        assert await client.ask(types.ROUTE, ["rds-inbound.8000"]) == {}
        assert await client.ask(types.EXTENSION, [f"tcp-access.{ECHO}"]) == {}
        assert await client.ask(types.CLUSTER, [f"server/server|{WEB}|local"]) == {}
        secrets = await client.ask(types.SECRET, ["service-cert", "root-cert"])
    assert secrets.keys() == {"service-cert", "root-cert"}
    secret = secret_pb2.Secret.FromString(secrets["service-cert"])
    chain = secret.tls_certificate.certificate_chain.inline_bytes
    assert _uris(chain) == [Identity("cluster.local", "thief", "thief").spiffe_id]
    assert not secret_pb2.Secret.FromString(secrets["root-cert"]).HasField("tls_certificate")


async def test_nobody_gets_a_secret_by_guessing_its_name(mesh: MeshUnderTest) -> None:
    pair = await open_tresor(mesh.state).issue(proxy_identity(THIEF))
    guesses = [
        "service-cert:server/server",
        "service-cert/server/server",
        "server/server",
        "spiffe://cluster.local/ns/server/sa/server",
        "server.server.cluster.local",
        "../",
        "../../ca/ca.key",
        "*",
        "",
        "root-cert ",
        "Service-Cert",
        f"tcp-callers.{ECHO}",
        "private.key",
        *(f"service-cert.{n}" for n in range(500)),
        *(f"{name}/{name}-{n}" for n in range(250) for name in ("server", "client")),
    ]
    async with xds(mesh, pair) as client:
        assert await client.ask(types.SECRET, guesses, within=2) == {}
        # It is still served, and still only with what is its own.
        assert (await client.ask(types.SECRET, ["service-cert"])).keys() == {"service-cert"}


async def test_a_workloads_certificate_does_not_open_the_control_plane(
    mesh: MeshUnderTest,
) -> None:
    assert await status(mesh, await leaf(mesh, "client/client")) == "UNAUTHENTICATED"


async def test_without_a_certificate_the_control_plane_is_closed(mesh: MeshUnderTest) -> None:
    # TLS refuses before gRPC has anything to say.
    assert await status(mesh, None) == "UNAVAILABLE"


async def test_a_bootstrap_certificate_of_another_authority_is_refused(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    pair = await open_tresor(tmp_path / "other").issue(proxy_identity(CLIENT))
    assert await status(mesh, pair) in ("UNAVAILABLE", "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("pod", "account"),
    [("client/client-7", ""), ("nobody/nobody-0", ""), ("server/server-0", "other")],
)
async def test_a_workload_that_is_not_known_must_wait(
    mesh: MeshUnderTest, pod: str, account: str
) -> None:
    pair = await open_tresor(mesh.state).issue(proxy_identity(pod, account))
    assert await status(mesh, pair) == "UNAVAILABLE"


async def leaf(mesh: MeshUnderTest, who: str) -> KeyPair:
    return await open_tresor(mesh.state).issue(identity(who))


async def knock(
    mesh: MeshUnderTest,
    directory: Path,
    pair: KeyPair | None,
    port: int = WEB,
    data: bytes | None = None,
    *,
    enough: int = 0,
) -> bytes:
    """What the server's proxy says to somebody with this certificate, until it hangs up (or that
    many bytes came). It must do either within seconds.
    """
    context = client_context(directory, open_tresor(mesh.state).trust_bundle, pair)
    path = mesh.inbound_socket(SERVER, port)
    request = http_request() if data is None else data
    return await asyncio.to_thread(exchange, path, request, context, enough=enough)


def xds(
    mesh: MeshUnderTest, pair: KeyPair | None, node: str = ""
) -> AbstractAsyncContextManager[XdsClient]:
    bundle = open_tresor(mesh.state).trust_bundle
    return open_xds(mesh.runtime / "ads.sock", bundle, pair, node)


async def status(mesh: MeshUnderTest, pair: KeyPair | None) -> str:
    """The status with which the control plane ends a stream; empty when it serves."""
    try:
        async with xds(mesh, pair) as client:
            await client.ask(types.LISTENER, ["*"])
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return ""


def _uris(chain: bytes) -> list[str]:
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


@contextmanager
def _listening(
    family: socket.AddressFamily, address: str | tuple[str, int]
) -> Iterator[tuple[socket.socket, Callable[[], bool]]]:
    """A port of this machine, and whether anybody has connected to it."""
    with socket.socket(family) as line:
        line.bind(address)
        line.listen()
        line.setblocking(False)

        def reached() -> bool:
            try:
                line.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield line, reached
