"""The hazards of on-demand discovery, each with a real Envoy (`docs/decisions/0008`)."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest_asyncio

from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.outbound import (
    ExplicitHttpListener,
    OutboundListener,
    build_explicit_http_listener,
    build_outbound_listener,
)
from osm.core.envoy.route import (
    OutboundRoutes,
    UnknownHosts,
    build_outbound_routes,
    build_unknown_hosts,
)
from osm.core.model.workload import SocketAddress
from osm.core.xds import types
from osm.core.xds.resource import Resource, make_resource

from .scripted import DRAIN_S, ROUTES, SOURCE, Bench, scripted_envoy

SPELLINGS = tuple(
    host + port
    for host in ("{0}", "{0}.default", "{0}.default.svc.cluster.local")
    for port in ("", ":80")
)
NO_ANSWER = "no-answer-from-the-control-plane"


def http_listener(path: Path) -> Resource:
    """Our listener for HTTP at a socket, with the routes of a redirected port."""
    value = ExplicitHttpListener("http", SOURCE, SocketAddress("127.0.0.1", 1))
    listener = build_explicit_http_listener(value)
    listener.address.pipe.path = str(path)
    manager = http_connection_manager_pb2.HttpConnectionManager()
    listener.filter_chains[0].filters[0].typed_config.Unpack(manager)
    manager.rds.route_config_name = ROUTES
    listener.filter_chains[0].filters[0].typed_config.Pack(manager)
    return make_resource("http", listener)


def routes() -> Resource:
    return make_resource(ROUTES, build_outbound_routes(OutboundRoutes(ROUTES)))


@pytest_asyncio.fixture
async def http(tmp_path: Path) -> AsyncIterator[Bench]:
    listener = http_listener(tmp_path / "http.sock")
    async with scripted_envoy(tmp_path, listener, routes()) as bench:
        yield bench


def random_names(count: int) -> list[str]:
    letters = random.Random(count)
    return [f"{letters.getrandbits(40):x}.{letters.getrandbits(48):x}" for _ in range(count)]


async def ask_all(bench: Bench, authorities: Sequence[str]) -> list[int]:
    """The status of each, not all at once."""
    statuses: list[int] = []
    for start in range(0, len(authorities), 50):
        some = authorities[start : start + 50]
        answers = await asyncio.gather(*(bench.ask(authority) for authority in some))
        statuses += [answer.status for answer in answers]
    return statuses


# --- names


async def test_a_service_is_asked_for_once_and_held_once_however_it_is_spelled(
    http: Bench,
) -> None:
    for first, spelling in enumerate(SPELLINGS):
        name = f"shop{first}"
        http.add_service(name)
        assert (await http.ask(spelling.format(name))).status == 200
        asked = len(http.script.names(types.VIRTUAL_HOST))
        for other in SPELLINGS:
            assert (await http.ask(other.format(name).upper())).status == 200
        assert len(http.script.names(types.VIRTUAL_HOST)) == asked
    assert sorted(await http.hosts()) == [f"{ROUTES}/default|shop{i}" for i in range(6)]


async def test_all_who_ask_first_at_once_are_answered(http: Bench) -> None:
    names = [f"s{number}" for number in range(100)]
    for name in names:
        http.add_service(name)
    once = [spelling.format("s0") for spelling in SPELLINGS] * 10
    assert await ask_all(http, once) == [200] * 60
    answers = await asyncio.gather(*(http.ask(name) for name in names))
    assert [answer.status for answer in answers] == [200] * 100
    assert len(await http.hosts()) == 100


async def test_a_name_that_the_mesh_does_not_know_is_refused_at_once_and_explained(
    http: Bench,
) -> None:
    for _ in range(2):
        answer = await http.ask("nobody.here:80")
        assert (answer.status, answer.reason) == (404, "unknown-host")
        assert answer.body == (
            "osm: the mesh knows no HTTP service by the name and port of nobody.here:80\n"
        )
        assert answer.took_s < 1
    assert http.script.names(types.VIRTUAL_HOST).count(f"{ROUTES}/nobody.here:80") == 1


async def test_a_name_works_when_it_appears_after_it_was_asked_for(http: Bench) -> None:
    assert (await http.ask("late")).status == 404
    http.script.push(types.VIRTUAL_HOST, http.add_service("late"))
    await _until_status(http, "late", 200)
    assert (await http.ask("late.default")).status == 200


async def test_a_service_that_is_deleted_is_unknown_and_works_when_it_is_made_again(
    http: Bench,
) -> None:
    host = http.add_service("shop")
    assert (await http.ask("shop")).status == 200
    for _ in range(2):
        http.script.push(types.VIRTUAL_HOST, gone=(host.name,))
        await _until_status(http, "shop", 404)
        unused = await http.ask("shop.default")
        assert (unused.status, unused.reason) == (404, "unknown-host")
        http.script.push(types.VIRTUAL_HOST, http.add_service("shop"))
        await _until_status(http, "shop", 200)
        assert (await http.ask("shop.default")).status == 200


async def test_a_proxy_comes_back_with_what_it_holds_and_is_sent_nothing_of_it(
    http: Bench,
) -> None:
    for number in range(20):
        http.add_service(f"s{number}")
    assert await ask_all(http, [f"s{number}.default" for number in range(20)]) == [200] * 20
    assert await ask_all(http, random_names(20)) == [404] * 20
    await http.script.stop()
    sent, http.script.requests = http.script.sent, []
    await http.script.start()
    await http.until(
        lambda: any(r.type_url == types.VIRTUAL_HOST for r in http.script.requests),
        "Envoy has come back",
        within=10,
    )
    assert await ask_all(http, ["s3", "s4.default:80"]) == [200, 200]
    assert http.script.sent - sent < 500
    again = next(r for r in http.script.requests if r.type_url == types.VIRTUAL_HOST)
    held = {name for name in again.initial_resource_versions if "/default|" in name}
    assert held == {f"{ROUTES}/default|s{number}" for number in range(20)}
    http.add_service("new")
    assert (await http.ask("new")).status == 200


# --- random names


async def test_with_a_host_for_all_unknown_names_nothing_more_is_asked(http: Bench) -> None:
    hosts = [http.add_service(f"s{number}") for number in range(50)]
    unknown = UnknownHosts(f"{ROUTES}/*")
    every = make_resource(unknown.name, build_unknown_hosts(unknown))
    http.script.push(types.VIRTUAL_HOST, *hosts, every)
    await _until_status(http, "s0", 200)
    assert await ask_all(http, random_names(500)) == [404] * 500
    answer = await http.ask("nobody.here")
    assert (answer.status, answer.reason) == (404, "unknown-host")
    assert answer.body.endswith("nobody.here\n")
    assert await ask_all(http, [f"s{number}.default" for number in range(50)]) == [200] * 50
    http.script.push(types.VIRTUAL_HOST, http.add_service("later"))
    await _until_status(http, "later", 200)
    assert {name for name in http.script.names(types.VIRTUAL_HOST) if name != "*"} <= {
        f"{ROUTES}/s0"
    }


# --- a control plane that does not answer


async def test_a_first_request_fails_soon_and_says_why_when_the_control_plane_is_silent(
    http: Bench,
) -> None:
    """And what has its route is not under that time limit, however long nothing happens."""
    http.add_service("used")
    assert (await http.ask("used")).status == 200
    slow = asyncio.create_task(http.ask("used", "/slow/7"))
    idle = asyncio.create_task(_idle_websocket(http, 7.0))
    http.add_service("cluster")
    http.script.silent = {types.VIRTUAL_HOST}
    host = asyncio.create_task(http.ask("host"))
    upload = asyncio.create_task(_half_an_upload(http, "host"))
    first = await host
    assert (first.status, first.reason) == (503, NO_ANSWER)
    assert first.body.startswith("osm: the control plane has not said where host is (waited ")
    assert 4 < first.took_s < 6
    assert (await upload).startswith(b"HTTP/1.1 503 ")
    http.script.silent = {types.CLUSTER}
    second = await http.ask("cluster")
    assert (second.status, second.reason) == (503, NO_ANSWER)
    assert 4 < second.took_s < 6
    assert (await slow).status == 200
    assert await idle == b"ping"


async def test_first_requests_work_as_soon_as_the_control_plane_is_back(http: Bench) -> None:
    http.add_service("used")
    assert (await http.ask("used")).status == 200
    await http.script.stop()
    for name in ("gave-up", "waits", "later"):
        http.add_service(name)
    gave_up = await http.ask("gave-up")
    assert (gave_up.status, gave_up.reason) == (503, NO_ANSWER)
    assert (await http.ask("used.default")).status == 200
    waits = asyncio.create_task(http.ask("waits"))
    unknown = asyncio.create_task(http.ask("nobody"))
    await asyncio.sleep(0.2)
    http.script.requests = []
    await http.script.start()
    await http.until(lambda: bool(http.script.requests), "Envoy is back", within=10)
    for _ in range(2):
        assert await ask_all(http, ["gave-up", "later", "nobody"]) == [200, 200, 404]
    # Envoy may have been away for longer than these could wait.
    assert (await waits).status in (200, 503)
    assert (await unknown).status in (404, 503)


async def _idle_websocket(bench: Bench, seconds: float) -> bytes:
    reader, writer = await asyncio.open_unix_connection(bench.socket)
    head = "GET / HTTP/1.1\r\nHost: used\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    writer.write(head.encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(seconds)
    writer.write(b"ping")
    async with asyncio.timeout(2):
        data = await reader.read(4)
    writer.close()
    return data


async def _half_an_upload(bench: Bench, authority: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(bench.socket)
    writer.write(f"POST / HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 9\r\n\r\nhalf".encode())
    async with asyncio.timeout(9):
        data = await reader.read(4096)
    writer.close()
    return data


async def _until_status(bench: Bench, authority: str, status: int) -> None:
    """Wait for a change that was pushed."""
    for _ in range(200):
        if (await bench.ask(authority)).status == status:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{authority} does not answer {status}")


# --- TCP to unknown addresses

IPS = tuple(f"127.0.0.{number}" for number in range(11, 21))


def tcp_listener(port: int, known: Sequence[str] | None) -> Resource:
    """Ours, at loopback addresses of its own in place of those that redirected traffic had."""
    known_tcp = ((port, tuple(known)),) if known is not None else None
    value = OutboundListener(SOURCE, (80,), (), (), known_tcp)
    listener = build_outbound_listener(value)
    del listener.listener_filters[:]
    for ip in IPS:
        address = listener.address if ip == IPS[0] else listener.additional_addresses.add().address
        address.socket_address.address = ip
        address.socket_address.port_value = port
    return make_resource(listener.name, _with_reuse(listener))


def _with_reuse(listener: listener_pb2.Listener) -> listener_pb2.Listener:
    listener.enable_reuse_port.value = False
    return listener


class Connection:
    """A TCP connection that is heard from at once or closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def is_alive(self) -> bool:
        try:
            self._writer.write(b"ping")
            async with asyncio.timeout(9):
                return await self._reader.read(100) == b"ping"
        except ConnectionError:
            return False

    def close(self) -> None:
        self._writer.close()


async def connect(ip: str, port: int) -> Connection:
    return Connection(*await asyncio.open_connection(ip, port))


async def is_served(ip: str, port: int) -> bool:
    connection = await connect(ip, port)
    try:
        return await connection.is_alive()
    finally:
        connection.close()


async def test_unknown_addresses_are_closed_without_a_question_once_the_known_ones_are_told(
    tmp_path: Path,
) -> None:
    """And no connection is harmed when that changes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one, two, three, four, unknown, *others = IPS
    async with scripted_envoy(tmp_path, tcp_listener(port, None), routes()) as bench:
        for ip in (one, two, three, four):
            bench.add_cluster(f"{ip}:{port}", "echo.sock")
        assert await is_served(one, port)
        assert not await is_served(unknown, port)
        assert bench.script.names(types.CLUSTER)[-2:] == [f"{one}:{port}", f"{unknown}:{port}"]
        kept = {one: await connect(one, port)}
        assert await kept[one].is_alive()

        async def know(*ips: str) -> None:
            updates = await bench.count("listener_manager.listener_in_place_updated")
            bench.script.push(types.LISTENER, tcp_listener(port, ips))
            for _ in range(200):
                await asyncio.sleep(0.01)
                if await bench.count("listener_manager.listener_in_place_updated") > updates:
                    return
            raise AssertionError("Envoy has not taken the listener in place")

        await know(one, two, three)
        asked = len(bench.script.names(types.CLUSTER))
        started = time.monotonic()
        for ip in (unknown, *others, four):
            assert not await is_served(ip, port)
        assert time.monotonic() - started < 2
        assert len(bench.script.names(types.CLUSTER)) == asked
        # Known ones are still asked for when they are first used, and not before.
        for ip in (one, two):
            assert await is_served(ip, port)
        assert bench.script.names(types.CLUSTER)[asked:] == [f"{two}:{port}"]
        kept[two] = await connect(two, port)
        assert await kept[two].is_alive()
        await know(one, four)
        assert await is_served(four, port)
        bench.script.push(types.CLUSTER, gone=(f"{three}:{port}",))
        assert not await is_served(three, port)
        await know(one, three, four)
        await asyncio.sleep(DRAIN_S + 1.5)
        assert [await connection.is_alive() for connection in kept.values()] == [True, True]
        for connection in kept.values():
            connection.close()
        assert bench.script.refusals == []
