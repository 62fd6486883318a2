"""Proxies of OSM v1 at the door: certificates of the same root that have a DNS name and no SPIFFE ID.

With a former mesh they are who they say; without one they are nobody.
"""

import asyncio
import http.client
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from .former import CLIENT, ECHO, OBJECTS, OLD_BOOTSTRAP, SERVER, SOURCES, WEB, former_mesh, leaf
from .harness import MeshUnderTest, mesh_config, tcp_access
from .intruder import client_context, exchange, http_request, open_tresor

OURS, OTHER, STRANGER = (f"{name}.{name}.cluster.local" for name in ("client", "other", "stranger"))
URI = "spiffe://cluster.local/ns/{0}/sa/{0}".format
NOBODY: tuple[tuple[str, ...], ...] = (
    (OLD_BOOTSTRAP,),
    ("client.client.example.org",),
    ("client.client.clusterxlocal",),
    ("client.client.cluster.local.example.org",),
    ("*.client.cluster.local",),
    ("*.cluster.local",),
    ("client.*.cluster.local",),
    ("client.client.svc.cluster.local",),
    ("ads.cluster.local",),
    ("CLIENT.client.cluster.local",),
    ("client.client.cluster.local.",),
    ("client.client.cluster.local,stranger.stranger.cluster.local",),
    ("spiffe://cluster.local/proxy/client/client/client-0",),
)
"""Certificates that are worth nothing, with a former mesh or without."""
AMBIGUOUS: tuple[tuple[str, ...], ...] = (
    (OURS, STRANGER),
    (STRANGER, OURS),
    ("*.client.cluster.local", OURS),
    ("spiffe://cluster.local/proxy/client/client/client-0", OURS),
    (URI("stranger"), OURS),
)
"""Certificates that say more than one thing, the client's name among it."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    """One that takes over from a mesh of OSM."""
    async with former_mesh(tmp_path_factory, "old") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    """One that takes over from nobody."""
    async with former_mesh(tmp_path_factory, "") as running:
        yield running


def _context(mesh: MeshUnderTest, directory: Path, shown: tuple[str, ...]) -> ssl.SSLContext:
    bundle = open_tresor(mesh.state).trust_bundle
    return client_context(directory, bundle, leaf(mesh.state, *shown), alpn=("osm",))


async def ask(mesh: MeshUnderTest, directory: Path, *shown: str) -> bytes:
    """What a request gets; nothing when the handshake fails."""
    path = mesh.inbound_socket(SERVER, WEB)
    context = _context(mesh, directory, shown)
    return await asyncio.to_thread(exchange, path, http_request(), context)


async def talk(mesh: MeshUnderTest, directory: Path, *shown: str) -> bytes:
    path = mesh.inbound_socket(SERVER, ECHO)
    context = _context(mesh, directory, shown)
    return await asyncio.to_thread(exchange, path, b"ping", context, enough=4)


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer else 0


async def _refused_names(mesh: MeshUnderTest) -> int:
    stats = await mesh.api.proxy_admin(SERVER, "stats?filter=ssl.fail_verify_san")
    return sum(int(line.rpartition(":")[2]) for line in stats.decode().splitlines())


async def test_without_a_former_mesh_a_name_alone_opens_nothing(
    alone: MeshUnderTest, tmp_path: Path
) -> None:
    before = await _refused_names(alone)
    assert await ask(alone, tmp_path, OURS) == b""
    assert await talk(alone, tmp_path, OURS) == b""
    assert await _refused_names(alone) == before + 2
    assert status(await ask(alone, tmp_path, URI("client"), OURS)) == 200
    assert await talk(alone, tmp_path, URI("client"), OURS) == b"ping"
    assert await _refused_names(alone) == before + 2


@pytest.mark.parametrize("shown", NOBODY, ids=" ".join)
async def test_without_a_former_mesh_nobody_is_nobody(
    alone: MeshUnderTest, tmp_path: Path, shown: tuple[str, ...]
) -> None:
    assert await ask(alone, tmp_path, *shown) == b""
    assert await talk(alone, tmp_path, *shown) == b""


async def test_access_rules_count_for_a_caller_that_has_only_a_name(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    answer = await ask(mesh, tmp_path, OURS)
    assert status(answer) == 200
    # As the application learns who calls from new proxies.
    assert f"DNS={OURS}".encode() in answer
    assert await talk(mesh, tmp_path, OURS) == b"ping"
    refused = await ask(mesh, tmp_path, STRANGER)
    assert status(refused) == 403
    assert (
        f"access denied by the mesh: {STRANGER} may not GET / of server/server".encode() in refused
    )
    assert await talk(mesh, tmp_path, STRANGER) == b""


async def test_new_callers_are_who_their_uris_say(mesh: MeshUnderTest, tmp_path: Path) -> None:
    assert status(await ask(mesh, tmp_path, URI("client"), OURS)) == 200
    assert await talk(mesh, tmp_path, URI("client"), OURS) == b"ping"
    assert status(await ask(mesh, tmp_path, URI("stranger"), STRANGER)) == 403
    assert await talk(mesh, tmp_path, URI("stranger"), STRANGER) == b""
    assert (await mesh.get(CLIENT, "http://server.server/"))[0] == 200
    assert await mesh.talk(CLIENT, "server.server", ECHO) == ("answered", "ping")


@pytest.mark.parametrize("shown", NOBODY, ids=" ".join)
async def test_certificates_of_nobody_fail_in_the_handshake(
    mesh: MeshUnderTest, tmp_path: Path, shown: tuple[str, ...]
) -> None:
    before = await _refused_names(mesh)
    assert await ask(mesh, tmp_path, *shown) == b""
    assert await talk(mesh, tmp_path, *shown) == b""
    assert await _refused_names(mesh) == before + 2


@pytest.mark.parametrize("shown", AMBIGUOUS, ids=" ".join)
async def test_who_says_more_than_one_thing_gets_nothing(
    mesh: MeshUnderTest, tmp_path: Path, shown: tuple[str, ...]
) -> None:
    assert status(await ask(mesh, tmp_path, *shown)) == 403
    assert await talk(mesh, tmp_path, *shown) == b""


async def test_refusals_name_the_caller(mesh: MeshUnderTest, tmp_path: Path) -> None:
    await ask(mesh, tmp_path, "thief.den.cluster.local")
    await talk(mesh, tmp_path, "thief.den.cluster.local")

    def shown() -> set[tuple[int, str]]:
        denials = mesh.api.view().denials
        return {(d.port, d.reason) for d in denials if d.source == "den/thief"}

    reason = "no access rule for server/server names den/thief as a source"
    await mesh.wait_for(lambda: shown() == {(WEB, reason), (ECHO, reason)}, "both are shown")


async def test_a_withdrawn_grant_ends_its_connections_whatever_the_caller_showed(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    with (
        live(mesh, tmp_path, OURS) as old,
        live(mesh, tmp_path, URI("client"), OURS) as new,
        live(mesh, tmp_path, OTHER) as other,
    ):
        for line in (old, new, other):
            assert await echoes(line)
        mesh.write("tcp.yaml", tcp_access("echo", "server/server", ("other/other",)))
        await mesh.settle()
        assert not await echoes(old)
        assert not await echoes(new)
        assert await talk(mesh, tmp_path, OURS) == b""
        mesh.write("tcp.yaml", tcp_access("echo", "server/server", SOURCES))
        await mesh.settle()
        assert await talk(mesh, tmp_path, OURS) == b"ping"
        assert await echoes(other)


async def test_a_withdrawn_grant_counts_for_the_next_request(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    with live(mesh, tmp_path, OURS, port=WEB) as line:
        assert await asyncio.to_thread(request_on, line) == 200
        everybody = OBJECTS.replace('"name": "client"}, {', '"name": "nobody"}, {')
        assert everybody != OBJECTS
        mesh.write("apps.yaml", everybody)
        await mesh.settle()
        assert await asyncio.to_thread(request_on, line) == 403
    mesh.write("apps.yaml", OBJECTS)
    await mesh.settle()
    assert status(await ask(mesh, tmp_path, OURS)) == 200


async def test_permissive_mode_lets_every_workload_in_and_nobody_else(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    mesh.write("config.yaml", mesh_config(permissive=True))
    await mesh.settle()
    assert status(await ask(mesh, tmp_path, STRANGER)) == 200
    assert await talk(mesh, tmp_path, STRANGER) == b"ping"
    for shown in NOBODY:
        assert await ask(mesh, tmp_path, *shown) == b"", shown
        assert await talk(mesh, tmp_path, *shown) == b"", shown
    for shown in AMBIGUOUS[:-1]:
        assert await talk(mesh, tmp_path, *shown) == b"", shown
    # Who has a workload's URI is let in by it.
    assert await talk(mesh, tmp_path, *AMBIGUOUS[-1]) == b"ping"
    with live(mesh, tmp_path, STRANGER) as line:
        assert await echoes(line)
        mesh.remove("config.yaml")
        await mesh.settle()
        assert not await echoes(line)


@contextmanager
def live(
    mesh: MeshUnderTest, directory: Path, *shown: str, port: int = ECHO
) -> Iterator[ssl.SSLSocket]:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(mesh.inbound_socket(SERVER, port)))
        context = _context(mesh, directory, shown)
        with context.wrap_socket(raw, server_hostname="any.svc.cluster.local") as line:
            yield line


def say(line: ssl.SSLSocket, data: bytes) -> bytes:
    try:
        line.sendall(data)
        return line.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return b""


def request_on(line: ssl.SSLSocket) -> int:
    """The status of one more request on a connection; its answer may come in pieces."""
    line.sendall(b"GET / HTTP/1.1\r\nHost: server.server\r\n\r\n")
    with http.client.HTTPResponse(line) as response:
        response.begin()
        response.read()
        return response.status


async def echoes(line: ssl.SSLSocket) -> bool:
    return await asyncio.to_thread(say, line, b"x") == b"x"
