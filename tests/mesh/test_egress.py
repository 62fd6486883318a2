"""Calls beyond the mesh, with a real Envoy, real redirection, and servers that belong to no mesh."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from unittest.mock import ANY

import msgspec
import pytest
import yaml
from tests.waiting import eventually

from osm.local.proxy import is_ready
from osm.testing.builders import (
    LOCAL,
    Part,
    egress,
    http_group,
    mesh_config,
    pod,
    service,
    upstream,
)

from .beyond import GATEWAY, SOCKET
from .harness import local_mesh, puppet
from .serving import Serving

OUTSIDE, INNER, FAR = "198.18.0.1", "198.18.0.2", "198.18.7.7"
MESH: tuple[Part, ...] = (
    pod("client", ip="240.0.0.50"),
    pod("shop", ip="240.0.0.51"),
    service(
        "shop",
        {"port": 80, "name": "http", "targetPort": 7001},
        {"port": 5432, "name": "tcp-db", "targetPort": 7002},
        ip="198.19.0.1",
    ),
)
PATIENCE_S = 10.0


class Application:
    """The application beside the proxy."""

    def __init__(self, directory: Path, serving: Serving) -> None:
        self._directory = directory
        self._serving = serving

    async def publish(self, *parts: Part) -> None:
        """Replace all policies, and wait until the proxy has them."""
        self._serving.publish(*MESH, *parts)
        async with asyncio.timeout(PATIENCE_S):
            while not all(s.stream.in_sync for s in self._serving.plane.sessions.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # what was published a moment ago may not be in use yet

    def refusals(self) -> tuple[object, ...]:
        """What the proxy did not take."""
        return self._serving.plane.refusals()

    async def connect(
        self, ip: str, port: int, data: str = "", *, sni: str | None = None, once: bool = True
    ) -> str:
        """What comes back; `closed` or `silent` when nothing does."""
        order = {"ip": ip, "port": port, "data": data, "server_name": sni, "once": once}
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(self._directory / SOCKET)
            writer.write(json.dumps(order).encode() + b"\n")
            outcome, text = map(str, json.loads(await reader.read()))
            writer.close()
        return text if outcome == "answered" else outcome

    async def get(
        self,
        host: str,
        path: str = "/",
        *,
        ip: str = OUTSIDE,
        port: int = 80,
        sni: str | None = None,
    ) -> tuple[int, str]:
        """Status and body, or 0 and what happened."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        answer = await self.connect(ip, port, request, sni=sni, once=False)
        if not answer.startswith("HTTP/"):
            return 0, answer
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


Start = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture(params=["directly", "by a gateway"])
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """An application whose proxy gets out by itself, or as pods do that have networks of their own."""
    gateway = "" if request.param == "directly" else str(tmp_path / "client" / GATEWAY)
    return partial(_application, tmp_path, gateway)


@asynccontextmanager
async def _application(directory: Path, gateway: str, *parts: Part) -> AsyncIterator[Application]:
    options = msgspec.structs.replace(LOCAL, gateway=gateway)
    serving = Serving(directory, *MESH, *parts, options=options)
    proxy = directory / "client"
    proxy.mkdir()
    through = (sys.executable, "-m", "tests.mesh.beyond", str(proxy))
    async with serving.running(), serving.envoy("client", proxy, through=through):
        await eventually((proxy / SOCKET).exists, "the program takes commands", within=PATIENCE_S)
        await eventually(partial(is_ready, proxy), "its proxy listens", within=PATIENCE_S)
        yield Application(proxy, serving)


async def test_http_leaves_by_host_port_path_and_method(application: Start) -> None:
    async with application() as app:
        assert (await app.get("outside.test"))[0] == 404
        await app.publish(egress("e", ["client"], ["http:80"], "outside.test"))
        assert await app.get("outside.test", "/get") == (
            200,
            f"{OUTSIDE} outside.test GET /get HTTP/1.1",
        )
        assert (await app.get("outside.test:80"))[0] == 200
        # The proxy looks the host up itself: whatever address is dialled, it goes to its own.
        assert (await app.get("outside.test", ip=FAR))[1].startswith(OUTSIDE)
        status, why = await app.get("inner.test", ip=INNER)
        assert status == 404 and "inner.test" in why
        assert await app.get("outside.test", port=8080) == (0, "closed")
        group = {"name": "get", "pathRegex": "/get", "methods": ["GET"]}
        allowed = egress("e", ["client"], ["http:80"], "outside.test", groups=["g"])
        await app.publish(allowed, http_group("g", group))
        assert (await app.get("outside.test", "/get"))[0] == 200
        status, why = await app.get("outside.test", "/status/200")
        assert status == 404 and "/status/200" in why
        more = {"name": "status", "pathRegex": "/status.*", "methods": ["*"]}
        await app.publish(allowed, http_group("g", group, more))
        assert (await app.get("outside.test", "/status/200"))[0] == 200
        await app.publish(allowed)  # the group is gone: nothing is allowed
        assert (await app.get("outside.test", "/get"))[0] == 404
        await app.publish()
        assert (await app.get("outside.test", "/get"))[0] == 404


async def test_http_keeps_to_the_ranges_of_its_egress(application: Start) -> None:
    ranged = egress("e", ["client"], ["http:8080"], "inner.test", ranges=["198.18.0.0/24"])
    async with application(ranged) as app:
        assert (await app.get("inner.test", ip=INNER, port=8080))[1].startswith(INNER)
        status, why = await app.get("inner.test", ip=FAR, port=8080)
        assert status == 403 and f"no Egress has the address {FAR}:8080" in why
        anywhere = egress("f", ["client"], ["http:8080"], "inner.test")
        await app.publish(ranged, anywhere)
        assert (await app.get("inner.test", ip=FAR, port=8080))[0] == 200


async def test_https_leaves_by_server_name(application: Start) -> None:
    named = egress("e", ["client"], ["https:443"], "outside.test", "*.wild.test")
    async with application(named) as app:
        for name in ("outside.test", "a.wild.test", "a.b.wild.test"):
            assert (await app.get("x", port=443, sni=name))[0] == 200, name
        for name in ("inner.test", "wild.test", "notoutside.test"):
            assert await app.get("x", port=443, sni=name) == (0, "closed"), name
        assert await app.get("outside.test", port=443) == (0, "closed")  # no TLS
        await app.publish(egress("e", ["client"], ["https:443"], ranges=["198.18.0.0/24"]))
        assert (await app.get("x", port=443, sni="anything.test"))[0] == 200
        assert await app.get("x", port=443, ip=FAR, sni="anything.test") == (0, "closed")
        assert await app.get("x", port=443) == (0, "closed")


async def test_tcp_leaves_by_port_and_address_and_the_mesh_comes_first(application: Start) -> None:
    tcp = egress("e", ["client"], ["tcp:5432", "tcp:80"], ranges=["198.18.0.0/24", "198.19.0.0/16"])
    async with application(tcp) as app:
        assert await app.connect(OUTSIDE, 5432, "ping") == "echo ping"
        assert await app.connect(FAR, 5432, "ping") == "closed"
        assert await app.connect(OUTSIDE, 9000, "ping") == "closed"
        assert (await app.get("whatever", ip=OUTSIDE))[0] == 200
        # The range holds services of the mesh, whose addresses lead to the mesh and nowhere else.
        assert await app.connect("198.19.0.1", 5432, "ping") == "closed"
        assert await app.connect("198.19.0.2", 5432, "ping") == "echo ping"
        assert (await app.get("shop", ip="198.19.0.1"))[0] == 503
        await app.publish()
        assert await app.connect(OUTSIDE, 5432, "ping") == "closed"


async def test_a_server_that_speaks_first_is_heard_also_beside_https(application: Start) -> None:
    both = egress("e", ["client"], ["tcp-server-first:25", "https:443"])
    async with application(both) as app:
        started = asyncio.get_running_loop().time()
        assert await app.connect(OUTSIDE, 25) == "220 welcome"
        assert asyncio.get_running_loop().time() - started < 0.9  # nobody waits for TLS there
        assert (await app.get("x", port=443, sni="outside.test"))[0] == 200
        # Where TLS is expected, who is silent is waited for a moment, and then served.
        await app.publish(
            egress("e", ["client"], ["https:25"], "outside.test"),
            egress("f", ["client"], ["tcp:25"], ranges=[f"{OUTSIDE}/32"]),
        )
        assert await app.connect(OUTSIDE, 25) == "220 welcome"
        assert await app.connect(FAR, 25) == "closed"


async def test_one_identitys_egress_is_nobody_elses(application: Start) -> None:
    others = egress("e", ["shop"], ["http:80", "https:443", "tcp:5432"], "outside.test")
    async with application(others) as app:
        assert (await app.get("outside.test"))[0] == 404
        assert await app.get("x", port=443, sni="outside.test") == (0, "closed")
        assert await app.connect(OUTSIDE, 5432, "ping") == "closed"


async def test_a_proxy_that_knows_all_names_lets_the_same_leave(application: Start) -> None:
    """Guarded and eager proxies ask no more: what may leave is pushed to them."""
    eager = {"openservicemesh.io/discovery": "eager"}
    client = pod("client", ip="240.0.0.50", annotations=eager)
    http = egress("e", ["client"], ["http:80", "tcp:5432"], "outside.test")
    async with application(client) as app:
        assert (await app.get("outside.test"))[0] == 404
        assert await app.connect(OUTSIDE, 5432, "ping") == "closed"
        await app.publish(client, http)
        assert (await app.get("outside.test"))[0] == 200
        assert (await app.get("inner.test", ip=INNER))[0] == 404
        assert await app.connect(OUTSIDE, 5432, "ping") == "echo ping"
        await app.publish(client, mesh_config(traffic={"enableEgress": True}))
        assert (await app.get("inner.test", ip=INNER))[1].startswith(INNER)
        await app.publish(client)
        assert (await app.get("inner.test", ip=INNER))[0] == 404


async def test_connection_settings_of_an_egress_break_the_circuit(application: Start) -> None:
    setting = upstream("s", "outside.test", {"connectionSettings": {"http": {"maxRequests": 0}}})
    limited = egress("e", ["client"], ["http:80"], "outside.test", setting="s")
    async with application(setting, limited) as app:
        assert (await app.get("outside.test"))[0] == 503
        await app.publish(egress("e", ["client"], ["http:80"], "outside.test"))
        assert (await app.get("outside.test"))[0] == 200


async def test_without_namespaces_http_leaves_a_local_mesh(tmp_path: Path) -> None:
    directory = tmp_path / "mesh"
    directory.mkdir()
    host = socket.gethostname()  # not `localhost`, which needs no policy
    async with await asyncio.start_server(_answer, "0.0.0.0") as outside:
        port = outside.sockets[0].getsockname()[1]
        (directory / "client.yaml").write_text(puppet("client"))
        policy = yaml.safe_dump(
            egress("e", ["client/client"], [f"http:{port}"], host, namespace="client")
        )
        everything = yaml.safe_dump(mesh_config(traffic={"enableEgress": True}))
        async with local_mesh(directory, tmp_path / "state", isolation="none") as mesh:
            await mesh.wait_ready(1)
            url = f"http://{host}:{port}/"
            for text in (policy, everything):
                assert (await mesh.get("client/client-0", url))[0] == 404
                mesh.write("policy.yaml", text)
                await mesh.settle()
                assert await mesh.get("client/client-0", url) == (200, ANY, "outside")
                mesh.remove("policy.yaml")
                await mesh.settle()
            assert (await mesh.get("client/client-0", url))[0] == 404


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\noutside")
    await writer.drain()
    writer.close()


async def test_a_host_that_becomes_a_service_is_the_meshs_and_back(application: Start) -> None:
    port = {"port": 80, "name": "http", "targetPort": 7001}
    late = service("outside", port, namespace="test", ip="198.19.0.7")
    everything = mesh_config(traffic={"enableEgress": True})
    some = egress("e", ["client"], ["http:80"], "outside.test")
    names = ("outside.test", "outside.test:80", "outside.test.svc.cluster.local")
    async with application() as app:
        for policy in (everything, some):
            for _ in range(2):
                await app.publish(policy)
                assert [(await app.get(name))[0] for name in names[:2]] == [200, 200]
                await app.publish(policy, late)
                assert [(await app.get(name))[0] for name in names] == [503, 503, 503]
        await app.publish()
        assert [(await app.get(name))[0] for name in names] == [404, 404, 404]
        assert app.refusals() == ()


async def test_mesh_wide_egress_is_switched_while_it_runs(application: Start) -> None:
    on = mesh_config(traffic={"enableEgress": True})
    async with application() as app:

        async def answers() -> list[object]:
            return [
                (await app.get("outside.test", ip=FAR))[0],
                (await app.get("x", port=443, sni="outside.test"))[0],
                await app.connect(OUTSIDE, 5432, "ping"),
                await app.connect(OUTSIDE, 25),
                (await app.get("shop", ip="198.19.0.1"))[0],
            ]

        shut = [404, 0, "closed", "closed", 503]
        opened = [200, 200, "echo ping", "220 welcome", 503]
        assert await answers() == shut
        for _ in range(2):
            await app.publish(on)
            assert await answers() == opened
            # Or the proxy would call itself without end.
            assert await app.connect(OUTSIDE, 15001, "ping") == "closed"
            # To where it was going, not to where the proxy would look it up.
            assert (await app.get("outside.test", ip=FAR))[1].startswith(FAR)
            await app.publish()
            assert await answers() == shut
