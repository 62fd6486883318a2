"""Servers that have only a DNS name, as OSM's proxies have: called if it is one of the service's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .former import (
    CLIENT,
    ECHO,
    OLD_BOOTSTRAP,
    SERVER,
    WEB,
    former_http_server,
    former_mesh,
    former_tcp_server,
    leaf,
)
from .harness import MeshUnderTest
from .intruder import open_tresor

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


async def test_without_a_former_mesh_a_server_with_a_name_alone_is_not_spoken_to(
    alone: MeshUnderTest, tmp_path: Path
) -> None:
    assert await talk_to_former(alone, tmp_path, "server.server.cluster.local") == "closed"
    assert await alone.talk(CLIENT, "server.server", ECHO) == ("answered", "ping")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("server.server.cluster.local", "old:ping"),
        ("client.client.cluster.local", "closed"),
        ("other.server.cluster.local", "closed"),
        ("server.server.example.org", "closed"),
        ("*.server.cluster.local", "closed"),
        ("*.cluster.local", "closed"),
        ("SERVER.server.cluster.local", "closed"),
        ("server.server.svc.cluster.local", "closed"),
        (OLD_BOOTSTRAP.replace("client", "server"), "closed"),
        ("spiffe://cluster.local/proxy/server/server/server-0", "closed"),
    ],
)
async def test_a_server_that_has_only_a_name_is_spoken_to_if_it_is_the_services(
    mesh: MeshUnderTest, tmp_path: Path, name: str, outcome: str
) -> None:
    assert await talk_to_former(mesh, tmp_path, name) == outcome
    assert await mesh.talk(CLIENT, "server.server", ECHO) == ("answered", "ping")


@pytest.mark.parametrize(
    ("name", "expected"), [("server.server.cluster.local", 200), ("*.server.cluster.local", 503)]
)
async def test_http_to_a_server_that_has_only_a_name(
    mesh: MeshUnderTest, tmp_path: Path, name: str, expected: int
) -> None:
    bundle = open_tresor(mesh.state).trust_bundle
    path = mesh.inbound_socket(SERVER, WEB)
    async with former_http_server(path, bundle, leaf(mesh.state, name), tmp_path):
        found, headers, body = await mesh.get(CLIENT, "http://server.server/")
        assert found == expected
        assert (body == "old") == (expected == 200)
        # The caller's own protocol: its server may know no other.
        assert headers.get("x-spoken") == ("HTTP/1.1" if expected == 200 else None)
    assert (await mesh.get(CLIENT, "http://server.server/"))[0] == 200


async def talk_to_former(mesh: MeshUnderTest, directory: Path, name: str) -> str:
    """What the client's application hears from a server with that name; also how it was called."""
    bundle = open_tresor(mesh.state).trust_bundle
    path = mesh.inbound_socket(SERVER, ECHO)
    with former_tcp_server(path, bundle, leaf(mesh.state, name), directory) as heard:
        outcome, text = await mesh.talk(CLIENT, "server.server", ECHO)
    # By these OSM's proxies choose the filter chain.
    assert heard.server_name == "server.server.svc.cluster.local"
    if text:
        assert heard.protocol == "osm"
    return text or outcome
