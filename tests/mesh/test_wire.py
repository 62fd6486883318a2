"""What is on the line between two workloads: TLS 1.3, both certificates, and no byte in the clear."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from cryptography import x509

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, tcp_access
from .intruder import client_context, exchange, http_request, identity, open_tresor

CLIENT, SERVER = "client/client-0", "server/server-0"
WEB, ECHO = 8000, 9000
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("server", arguments=(f"--echo={ECHO}",)),
        service("server", ports=((80, WEB, "http"), (ECHO, ECHO, "tcp"))),
        http_access("web", "server/server", ("client/client",)),
        tcp_access("tcp", "server/server", ("client/client",)),
    )
)
MARKER = "xyzzy-plugh-4711"
HANDSHAKE, APPLICATION_DATA, CHANGE_CIPHER_SPEC = 22, 23, 20
SERVER_HELLO, SUPPORTED_VERSIONS, TLS_1_3 = 2, 43, 0x0304


class Record(NamedTuple):
    """A TLS record (RFC 8446 §5.1)."""

    kind: int
    body: bytes


class Relay:
    """Stands between two proxies and keeps all that they say. Takes the place of a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._real = path.with_suffix(".real")
        self.sent: list[bytearray] = []
        """What clients said, by connection."""
        self.answered: list[bytearray] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.rename(self._real)
        server = await asyncio.start_unix_server(self._serve, self._path)
        self._server = server

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_unix_connection(self._real)
        sent, answered = bytearray(), bytearray()
        self.sent.append(sent)
        self.answered.append(answered)
        for pair in ((reader, other_writer, sent), (other_reader, writer, answered)):
            task = asyncio.create_task(self._copy(*pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
    ) -> None:
        try:
            while data := await reader.read(65536):
                kept += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(2)
        await running.settle()
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relays(mesh: MeshUnderTest) -> AsyncIterator[dict[int, Relay]]:
    """Relays before the server's ports, after requests with the marker have gone through them."""
    made = {port: Relay(mesh.inbound_socket(SERVER, port)) for port in (WEB, ECHO)}
    for relay in made.values():
        await relay.start()
    for number in range(5):
        program = f"""
            import http.client
            line = http.client.HTTPConnection("server.server", 80, timeout=5)
            headers = {{"x-secret": "{MARKER}", "cookie": "{MARKER}"}}
            line.request("POST", "/{MARKER}?{MARKER}", "{MARKER}" * {number + 1}, headers)
            answer = line.getresponse()
            result = [answer.status, answer.read().decode()]
            line.close()
            """
        status, body = await mesh.run(CLIENT, program)
        assert status == 200 and body.count(MARKER) >= 4, "the marker went all the way, and back"
        assert await mesh.talk(CLIENT, "server.server", ECHO, MARKER) == ("answered", MARKER)
    yield made
    for relay in made.values():
        await relay.stop()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("port", [WEB, ECHO], ids=["http", "tcp"])
async def test_no_byte_of_a_request_is_in_the_clear(relays: dict[int, Relay], port: int) -> None:
    relay = relays[port]
    assert relay.sent and relay.answered
    for line in (*relay.sent, *relay.answered):
        records = _records(bytes(line))
        first_kinds = [record.kind for record in records[:2]]
        assert first_kinds[0] == HANDSHAKE
        # After the first flight everything is encrypted, the rest of the handshake included.
        rest = {record.kind for record in records[1:]}
        assert rest <= {CHANGE_CIPHER_SPEC, APPLICATION_DATA}, first_kinds
        assert MARKER.encode() not in line
        assert b"HTTP" not in line and b"PRI *" not in line and b"x-secret" not in line
    assert sum(map(len, relay.sent)) > 5 * len(MARKER)


@pytest.mark.parametrize("port", [WEB, ECHO], ids=["http", "tcp"])
async def test_the_proxies_agree_on_tls_1_3(relays: dict[int, Relay], port: int) -> None:
    for line in relays[port].answered:
        assert _chosen_version(_records(bytes(line))[0].body) == TLS_1_3


async def test_http_shares_a_connection_and_tcp_has_one_each(relays: dict[int, Relay]) -> None:
    assert len(relays[WEB].sent) == 1
    assert len(relays[ECHO].sent) == 5


@pytest.mark.parametrize("port", [WEB, ECHO], ids=["http", "tcp"])
async def test_the_servers_certificate_names_the_server_and_the_version_is_tls_1_3(
    mesh: MeshUnderTest, tmp_path: Path, port: int
) -> None:
    version, certificate, alpn = await asyncio.to_thread(
        _shake_hands, mesh.inbound_socket(SERVER, port), await _context(mesh, tmp_path)
    )
    assert version == "TLSv1.3"
    assert alpn == ("h2" if port == WEB else None)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["spiffe://cluster.local/ns/server/sa/server"]
    assert names.get_values_for_type(x509.DNSName) == ["server.server.cluster.local"]


@pytest.mark.parametrize("port", [WEB, ECHO], ids=["http", "tcp"])
async def test_tls_1_2_is_refused(mesh: MeshUnderTest, tmp_path: Path, port: int) -> None:
    context = await _context(mesh, tmp_path)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        await asyncio.to_thread(_shake_hands, mesh.inbound_socket(SERVER, port), context)


@pytest.mark.parametrize("port", [WEB, ECHO], ids=["http", "tcp"])
async def test_a_client_certificate_is_demanded(
    mesh: MeshUnderTest, tmp_path: Path, port: int
) -> None:
    context = client_context(tmp_path, open_tresor(mesh.state).trust_bundle, None)
    path = mesh.inbound_socket(SERVER, port)
    before = await _refused_without_certificate(mesh)
    # In TLS 1.3 the client learns of it when it first reads (RFC 8446 §6.2): by an alert, or, if the
    # connection closes on what it has sent meanwhile, by that. Envoy's counter says why.
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|EOF occurred"):
        await asyncio.to_thread(_shake_hands, path, context, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await _refused_without_certificate(mesh) == before + 1
    # And with a certificate the same request has an answer.
    context = await _context(mesh, tmp_path, alpn=())
    assert await asyncio.to_thread(exchange, path, http_request(), context, enough=4)


async def _refused_without_certificate(mesh: MeshUnderTest) -> int:
    stats = await mesh.api.proxy_admin(SERVER, "stats?filter=ssl.fail_verify_no_cert")
    return sum(int(line.rpartition(":")[2]) for line in stats.decode().splitlines())


async def _context(
    mesh: MeshUnderTest, directory: Path, alpn: tuple[str, ...] = ("h2",)
) -> ssl.SSLContext:
    tresor = open_tresor(mesh.state)
    pair = await tresor.issue(identity("client/client"))
    return client_context(directory, tresor.trust_bundle, pair, alpn=alpn)


def _shake_hands(
    path: Path, context: ssl.SSLContext, data: bytes = b""
) -> tuple[str | None, x509.Certificate, str | None]:
    """The version, the server's certificate and the protocol; with data, also a read."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(path))
        with context.wrap_socket(
            raw, server_hostname="any.svc.cluster.local", suppress_ragged_eofs=False
        ) as line:
            if data:
                line.sendall(data)
                line.recv(1)
            certificate = line.getpeercert(binary_form=True)
            assert certificate is not None
            found = x509.load_der_x509_certificate(certificate)
            return line.version(), found, line.selected_alpn_protocol()


def _records(data: bytes) -> list[Record]:
    """The records of one direction. Fails when it is not TLS to the last byte."""
    records = []
    offset = 0
    while offset < len(data):
        kind, version = data[offset], int.from_bytes(data[offset + 1 : offset + 3])
        length = int.from_bytes(data[offset + 3 : offset + 5])
        assert version in (0x0301, 0x0303) and length <= 2**14 + 256, "not a TLS record"
        body = data[offset + 5 : offset + 5 + length]
        assert len(body) == length, "a record is cut off"
        records.append(Record(kind, body))
        offset += 5 + length
    return records


def _chosen_version(hello: bytes) -> int:
    """The version that a ServerHello chooses (RFC 8446 §4.1.3 and §4.2.1)."""
    assert hello[0] == SERVER_HELLO
    offset = 4 + 2 + 32
    offset += 1 + hello[offset]  # session
    offset += 2 + 1 + 2  # cipher suite, compression, length of the extensions
    while offset < len(hello):
        kind = int.from_bytes(hello[offset : offset + 2])
        length = int.from_bytes(hello[offset + 2 : offset + 4])
        if kind == SUPPORTED_VERSIONS:
            return int.from_bytes(hello[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return int.from_bytes(hello[4:6])
