"""One real Envoy with our resources, and a control plane that does just what a test tells it to."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import grpc.aio
import msgspec
from google.protobuf import json_format

from osm._envoy.envoy.config.bootstrap.v3 import bootstrap_pb2
from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy.bootstrap import Bootstrap, build_bootstrap
from osm.core.envoy.cluster import NOWHERE, LocalCluster, build_local_cluster
from osm.core.envoy.filters.traffic_metrics import SourceLabels
from osm.core.envoy.observation import Observation
from osm.core.envoy.route import OutboundHost, OutboundRule, build_outbound_host
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.origin import Origin
from osm.core.model.workload import PipeAddress, SocketAddress
from osm.core.xds import types
from osm.core.xds.resource import Resource, encode_response, make_resource
from osm.local.proxy import ADMIN_SOCKET, ask_admin, envoy_binary, is_ready

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
SOURCE = Observation(SourceLabels("default", "Deployment", "client", "client-0"))
ORIGIN = Origin("Service", "default", "shop", "spec")
ROUTES = "rds-outbound.80"
DRAIN_S = 1

Request = discovery_pb2.DeltaDiscoveryRequest


class Answer(msgspec.Struct, frozen=True):
    """`status` 0: the connection ended without an answer."""

    status: int
    reason: str = ""
    body: str = ""
    took_s: float = 0.0


class Script:
    """Answers names with `known` resources, a virtual host that is not known with "there is none"."""

    def __init__(self, path: Path) -> None:
        self._address = f"unix:{path}"
        self.own: dict[str, list[Resource]] = {}
        """What a proxy gets without asking by name."""
        self.known: dict[tuple[str, str], Resource] = {}
        self.silent: set[str] = set()
        """Types of which nothing is answered."""
        self.requests: list[Request] = []
        """Those that say more than that something was received."""
        self.sent = 0
        """Bytes."""
        self._streams: list[asyncio.Queue[bytes]] = []
        self._numbers = iter(range(1, 1 << 30))
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((_Handlers(self._stream),))
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def _stream(
        self, requests: AsyncIterator[Request], context: "grpc.aio.ServicerContext[Request, bytes]"
    ) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams.append(queue)
        begun: set[str] = set()

        async def write() -> None:
            while True:
                await context.write(await queue.get())

        writer = asyncio.create_task(write())
        try:
            async for request in requests:
                is_first = request.type_url not in begun
                begun.add(request.type_url)
                self._take(queue, request, is_first=is_first)
        finally:
            writer.cancel()
            self._streams.remove(queue)

    def _take(self, queue: asyncio.Queue[bytes], request: Request, *, is_first: bool) -> None:
        kind, asked = request.type_url, request.resource_names_subscribe
        if (
            is_first
            or asked
            or request.resource_names_unsubscribe
            or request.HasField("error_detail")
        ):
            self.requests.append(request)
        if kind in self.silent:
            return
        held = request.initial_resource_versions
        # What is held under a name itself, and is not known, is an answer of ours that there is none.
        told = {name for name in asked if name in held and (kind, name) not in self.known}
        found = {name: self._find(kind, name) for name in set(asked) - told - {"*"}}
        answers = [r for r in found.values() if r] + (self.own.get(kind, []) if is_first else [])
        fresh = {r.name: r for r in answers if held.get(r.name) != r.version}
        gone = tuple(name for name, resource in found.items() if resource is None)
        if kind == types.VIRTUAL_HOST:
            hosts = {r.name for (each, _), r in self.known.items() if each == kind}
            gone = tuple(set(request.resource_names_unsubscribe) - hosts)
        if fresh or gone or (is_first and not len(held)):
            self._send(queue, kind, tuple(fresh.values()), gone)

    def _find(self, kind: str, name: str) -> Resource | None:
        known = self.known.get((kind, name))
        if known is not None:
            return known
        if kind == types.CLUSTER:
            nowhere = cluster_pb2.Cluster(name=name, alt_stat_name=NOWHERE, type="STATIC")
            return make_resource(name, nowhere)
        if kind != types.VIRTUAL_HOST:
            return None
        # Were the version one that Envoy knows, it would take this for a sign of life and do nothing.
        version = f"none-{next(self._numbers)}"
        none = discovery_pb2.Resource(name=name, aliases=[name], version=version)
        return Resource(name, version, none.SerializeToString())

    def _send(
        self,
        queue: asyncio.Queue[bytes],
        kind: str,
        fresh: tuple[Resource, ...],
        gone: tuple[str, ...],
    ) -> None:
        wire = encode_response(kind, str(next(self._numbers)), fresh, gone)
        self.sent += len(wire)
        queue.put_nowait(wire)

    def push(self, kind: str, *fresh: Resource, gone: tuple[str, ...] = ()) -> None:
        """Send what nobody asked for. Resources are known from then on, and removed ones are not."""
        self.known |= {(kind, resource.name): resource for resource in fresh}
        for key in [key for key, value in self.known.items() if value.name in gone]:
            del self.known[key]
        for queue in self._streams:
            self._send(queue, kind, fresh, gone)

    def names(self, kind: str) -> list[str]:
        """All names of a type that were asked for, in order."""
        return [
            name
            for request in self.requests
            if request.type_url == kind
            for name in request.resource_names_subscribe
        ]

    @property
    def refusals(self) -> list[str]:
        return [r.error_detail.message for r in self.requests if r.HasField("error_detail")]


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, stream: Callable[..., object]) -> None:
        self._handler: grpc.RpcMethodHandler[Request, bytes] = (
            grpc.stream_stream_rpc_method_handler(
                stream, request_deserializer=Request.FromString, response_serializer=None
            )
        )

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Request, bytes] | None":
        return self._handler if handler_call_details.method == METHOD else None


class Bench:
    """The Envoy, its script, and a server for HTTP and TCP behind every service."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "http.sock"
        self.script = Script(directory / "ads.sock")

    def add_service(self, name: str) -> Resource:
        """Know an HTTP service on port 80 and its cluster; gives its virtual host."""
        hosts = (name, f"{name}.default", f"{name}.default.svc.cluster.local")
        domains = tuple(spelling for host in hosts for spelling in (host, f"{host}:80"))
        aliases = tuple(f"{ROUTES}/{domain}" for domain in domains)
        rule = OutboundRule(((f"default/{name}|80", 1),), ORIGIN)
        value = OutboundHost(f"{ROUTES}/default|{name}", domains, aliases, (rule,))
        host = make_resource(value.name, build_outbound_host(value), aliases=aliases)
        self.script.known |= {(types.VIRTUAL_HOST, alias): host for alias in aliases}
        self.add_cluster(f"default/{name}|80", "server.sock")
        return host

    def add_cluster(self, name: str, server: str) -> Resource:
        """Know a cluster whose one endpoint is a socket in our directory."""
        made = build_local_cluster(LocalCluster(name, SocketAddress("127.0.0.1", 1), http2=False))
        endpoint = made.load_assignment.endpoints[0].lb_endpoints[0].endpoint
        endpoint.address.pipe.path = str(self.directory / server)
        resource = self.script.known[types.CLUSTER, name] = make_resource(name, made)
        return resource

    async def ask(self, authority: str, path: str = "/", *, timeout: float = 9.0) -> Answer:
        """One request, on a connection of its own."""
        started = time.monotonic()
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(self.socket)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            try:
                answer = await _read_answer(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                answer = Answer(0)
            finally:
                writer.close()
        return msgspec.structs.replace(answer, took_s=time.monotonic() - started)

    async def admin(self, path: str) -> str:
        return (await ask_admin(self.directory, path, timeout=10.0))[1].decode()

    async def hosts(self) -> list[str]:
        """The virtual hosts that Envoy holds."""
        dump = json.loads(await self.admin("/config_dump?resource=dynamic_route_configs"))
        routes = (config["route_config"] for config in dump.get("configs", []))
        return [host["name"] for each in routes for host in each.get("virtual_hosts", [])]

    async def count(self, stat: str) -> int:
        """A counter of Envoy's by its whole name; 0 when it never counted."""
        text = await self.admin(f"/stats?filter=^{re.escape(stat)}$")
        return int(text.split()[-1]) if text.strip() else 0

    async def until(self, condition: Callable[[], bool], what: str, *, within: float = 5.0) -> None:
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < within, f"not within {within} s: {what}"
            await asyncio.sleep(0.01)


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(head[0].split()[1]), headers.get("x-osm-reason", ""), body.decode())


@asynccontextmanager
async def scripted_envoy(
    directory: Path, listener: Resource, routes: Resource
) -> AsyncIterator[Bench]:
    """Run Envoy with a listener and its routes. It drains in a second what it has to drain."""
    bench = Bench(directory)
    bench.script.own[types.LISTENER] = [listener]
    bench.script.known[types.ROUTE, routes.name] = routes
    servers = [
        await asyncio.start_unix_server(serve, directory / name)
        for name, serve in (("server.sock", _serve_http), ("echo.sock", _echo))
    ]
    await bench.script.start()
    (directory / "envoy.json").write_text(_bootstrap(directory))
    with (directory / "envoy.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            envoy_binary(), "-c", directory / "envoy.json", "--disable-hot-restart",
            "--concurrency", "1", "-l", "error", "--drain-strategy", "immediate",
            "--drain-time-s", str(DRAIN_S), "--parent-shutdown-time-s", str(DRAIN_S + 1),
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while not await is_ready(directory):
                assert process.returncode is None, (directory / "envoy.log").read_text()
                await asyncio.sleep(0.02)
        yield bench
        assert process.returncode is None, "Envoy has died"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await bench.script.stop()
        for server in servers:
            server.close()


def _bootstrap(directory: Path) -> str:
    """Ours, but for the control plane, which is not asked who it is."""
    value = Bootstrap(
        ProxyIdentity(Identity("cluster.local", "default", "client"), "client-0"),
        PipeAddress(str(directory / "ads.sock")),
        "scripted",
        PipeAddress(str(directory / ADMIN_SOCKET)),
        str(directory),
    )
    bootstrap = json_format.Parse(build_bootstrap(value), bootstrap_pb2.Bootstrap())
    bootstrap.static_resources.clusters[0].ClearField("transport_socket")
    return json_format.MessageToJson(bootstrap, preserving_proto_field_name=True)


async def _serve_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers `ok`, for `/slow/<seconds>` that much later; an upgrade becomes an echo."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            path = head.split()[1]
            if "\r\nupgrade: websocket" in head:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
                writer.write(b"Connection: upgrade\r\n\r\n")
                await _echo(reader, writer)
                return
            if path.startswith("/slow/"):
                await asyncio.sleep(float(path.removeprefix("/slow/")))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
