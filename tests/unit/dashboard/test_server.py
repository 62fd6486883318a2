"""Serving for real, on sockets: streams, their end, and who may connect."""

import asyncio
import contextlib
import socket as sockets
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from osm.core.explain.view import MeshView
from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.feed import Feed
from osm.dashboard.server import listen_loopback, listen_unix, serve
from osm.errors import PlatformError
from osm.testing.mesh_api import FakeMeshApi


@contextlib.asynccontextmanager
async def serving(path: Path, feed: Feed | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """Serve on a unix socket while the block lasts."""
    app = build_app(FakeMeshApi(), access=SocketAccess(), feed=feed)
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(app, listen_unix(path), ready=ready))
        async with asyncio.timeout(5):
            await ready.wait()
        try:
            yield task
        finally:
            task.cancel()


def client(path: Path) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=str(path))
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=5)


async def nobody_listens(feed: Feed) -> None:
    async with asyncio.timeout(5):
        while feed.streams:  # noqa: ASYNC110 (the server does not tell when a client has left)
            await asyncio.sleep(0.01)


async def views(lines: AsyncIterator[str], count: int) -> list[MeshView]:
    found: list[MeshView] = []
    async for line in lines:
        if line.startswith("data: "):
            found.append(msgspec.json.decode(line.removeprefix("data: "), type=MeshView))
        if len(found) == count:
            break
    return found


async def test_the_socket_is_its_owners_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with client(path) as http:
            assert (await http.get("/api/v1/version")).status_code == 200
    assert not path.exists()


async def test_a_view_comes_at_once_and_then_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    feed = Feed(FakeMeshApi().view, period_s=0.05)
    async with (
        serving(path, feed),
        client(path) as http,
        http.stream("GET", "/api/v1/events") as events,
    ):
        assert events.headers["content-type"].startswith("text/event-stream")
        first, second, third = await views(events.aiter_lines(), 3)
    assert first.now < second.now < third.now
    assert first.edges


async def test_a_stream_gives_its_place_back_when_the_browser_leaves(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    feed = Feed(FakeMeshApi().view, period_s=0.05, max_streams=2)
    async with serving(path, feed), client(path) as http:
        async with http.stream("GET", "/api/v1/events"), http.stream("GET", "/api/v1/events"):
            assert (await http.get("/api/v1/events")).status_code == 503
        await nobody_listens(feed)
        async with http.stream("GET", "/api/v1/events") as again:
            assert again.status_code == 200


async def test_the_view_is_encoded_once_for_all_listeners(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    calls = 0
    mesh = FakeMeshApi()

    def view() -> MeshView:
        nonlocal calls
        calls += 1
        return mesh.view()

    async with (
        serving(path, Feed(view, period_s=2)),
        client(path) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(10):
            events = await stack.enter_async_context(http.stream("GET", "/api/v1/events"))
            assert len(await views(events.aiter_lines(), 1)) == 1
    assert calls == 1


async def test_logs_are_followed_until_the_client_leaves(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    feed = Feed(FakeMeshApi().view)
    async with serving(path, feed), client(path) as http:
        address = "/api/v1/logs?workload=bookbuyer&tail=2&follow=true"
        async with http.stream("GET", address) as answer:
            lines = answer.aiter_lines()
            texts = [msgspec.json.decode(await anext(lines))["text"] for _ in range(4)]
        assert texts == ["line 1", "line 2", "line 3", "line 4"]
        await nobody_listens(feed)


async def test_the_server_ends_at_once_though_streams_are_open(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    async with (
        client(path) as http,
        asyncio.timeout(4),
        serving(path) as task,
        http.stream("GET", "/api/v1/events") as events,
    ):
        lines = events.aiter_lines()
        assert len(await views(lines, 1)) == 1
        task.cancel()
        assert [line async for line in lines if line.startswith("data")] == []


async def test_a_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    async with serving(path), client(path) as http:
        assert (await http.get("/api/v1/version")).status_code == 200


async def test_a_socket_that_is_served_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    async with serving(path), client(path) as http:
        with pytest.raises(PlatformError, match="another process"):
            listen_unix(path)
        assert (await http.get("/api/v1/version")).status_code == 200


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "osm.sock"
    path.write_text("mine")
    with pytest.raises(PlatformError, match="in the way"):
        listen_unix(path)
    assert path.read_text() == "mine"


def test_a_port_that_is_taken_is_said_to_be_so() -> None:
    first = listen_loopback()
    first.listen()
    port = first.getsockname()[1]
    try:
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(PlatformError, match=str(port)):
            listen_loopback(port)
    finally:
        first.close()


async def test_the_page_is_served_on_loopback_and_refuses_a_foreign_host() -> None:
    sock = listen_loopback()
    port = sock.getsockname()[1]
    app = build_app(FakeMeshApi(), access=LoopbackAccess(port))
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(app, sock, ready=ready))
        await ready.wait()
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/api/v1/view")).status_code == 200
            rebound = await http.get("/api/v1/view", headers={"host": "attacker.example"})
            assert rebound.status_code == 421
            assert "server" not in rebound.headers
        task.cancel()
