"""The control plane behind its real server, and clients that say what they like over real gRPC."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry, generate_latest
from tests.unit.xds.world import Client
from tests.waiting import listens

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane
from osm.ads.grpc_transport import GrpcTransport
from osm.ads.server import DISCOVERY, AdsServer, ReviewToken
from osm.core.api.manifest import Key
from osm.core.compile.build import Compiler
from osm.core.compile.options import CompileOptions
from osm.core.envoy.bootstrap import (
    CERTIFICATE_FILE,
    TRUST_FILE,
    Bootstrap,
    HostAddress,
    build_bootstrap,
    build_certificate_file,
    build_trust_file,
)
from osm.core.envoy.catalog import Certificate
from osm.core.envoy.probes import ProbeListeners
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.workload import PipeAddress
from osm.core.pki.trust import Refused, TrustBundle
from osm.core.xds import types
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.local.proxy import ADMIN_SOCKET, envoy_binary
from osm.ports import KeyPair
from osm.runtime.proxy_files import envoy_arguments
from osm.telemetry.control_plane import ControlPlaneMetrics
from osm.testing.builders import LOCAL, Part, manifests

NAME = "ads.test"
TRUST_DOMAIN = "cluster.local"
PATIENCE_S = 20.0

Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class Serving:
    """A control plane that serves."""

    def __init__(self, directory: Path, *parts: Part, options: CompileOptions = LOCAL) -> None:
        self._options = options
        self._directory = directory
        self._runs = 0
        self.address = self._next_address()
        self.tresor = Tresor.open(
            directory / "ca",
            trust_domain=TRUST_DOMAIN,
            leaf_validity=timedelta(hours=1),
            clock=SystemClock(),
        )
        self.metrics = ControlPlaneMetrics(CollectorRegistry(), version="test")
        self.keys: set[Key] = set()
        self.renew_plane(*parts)

    def _address(self) -> PipeAddress | HostAddress:
        if self.address.startswith("unix:"):
            return PipeAddress(self.address.removeprefix("unix:"))
        host, _, port = self.address.rpartition(":")
        return HostAddress(host, int(port))

    def _next_address(self) -> str:
        """A server that stops removes its socket when it gets to it: the next one has another."""
        self._runs += 1
        return f"unix:{self._directory / f'ads-{self._runs}.sock'}"

    def renew_plane(self, *parts: Part) -> None:
        """Begin with a control plane that knows nothing of what was before."""
        self.compiler = Compiler(self._options)
        self.plane = ControlPlane(self.compiler.model, self.tresor.trust_bundle)
        self.keys = set()
        self.publish(*parts)

    def publish(self, *parts: Part, trigger: str = "test") -> None:
        """Replace all objects."""
        objects = manifests(*parts)
        keys = {manifest.key for manifest in objects}
        self.plane.publish(self.compiler.update(objects, self.keys - keys), trigger=trigger)
        self.keys = keys

    @asynccontextmanager
    async def running(
        self, *, write_limit_s: float = 60.0, review_token: ReviewToken | None = None
    ) -> AsyncIterator["Serving"]:
        """Serve. With `review_token` proxies show tokens, and no certificates."""
        trust = TrustBundle.from_pem(self.tresor.trust_bundle, [TRUST_DOMAIN])

        def authenticate(chain: bytes) -> ProxyIdentity | str:
            found = trust.authenticate_proxy(chain, SystemClock().now())
            return found.text if isinstance(found, Refused) else found

        async def ensure_certificate(proxy: ProxyIdentity, _held: str) -> None:
            if self.plane.certificate(proxy.identity) is None:
                pair = await self.tresor.issue(proxy.identity)
                certificate = Certificate(pair.certificate, pair.private_key, "1")
                self.plane.certify(proxy.identity, certificate)

        server = AdsServer(
            self.plane,
            authenticate=authenticate,
            ensure_certificate=ensure_certificate,
            take_denial=lambda _message, _proxy: None,
            observer=self.metrics,
            transport=GrpcTransport(),
            review_token=review_token,
            write_limit_s=write_limit_s,
        )
        pair = await self.tresor.issue_server(NAME)
        bundle = None if review_token else self.tresor.trust_bundle
        started = asyncio.Event()
        serving = asyncio.create_task(server.serve(self.address, lambda: pair, bundle, started))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await started.wait()
            yield self
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            self.address = self._next_address()

    async def pair_of(self, name: str) -> KeyPair:
        """What a pod's proxy shows: pods here have service accounts of their own names."""
        identity = Identity(TRUST_DOMAIN, "default", name)
        return await self.tresor.issue(ProxyIdentity(identity, name))

    @asynccontextmanager
    async def proxy(
        self, name: str, pair: KeyPair | None = None, *, address: str = ""
    ) -> AsyncIterator["ServedProxy"]:
        """A connection of a pod's proxy, with a stream on it."""
        credentials = _credentials(pair or await self.pair_of(name), self.tresor.trust_bundle)
        options = (("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1))
        async with grpc.aio.secure_channel(
            address or self.address, credentials, options
        ) as channel:
            call: Call = channel.stream_stream(DISCOVERY)()
            connected = ServedProxy(call)
            try:
                yield connected
            finally:
                connected.stop()
                call.cancel()

    @asynccontextmanager
    async def envoy(
        self,
        name: str,
        directory: Path,
        *,
        through: tuple[str, ...] = (),
        volume: Path | None = None,
        probes: ProbeListeners | None = None,
    ) -> AsyncIterator[Path]:
        """A real Envoy for a pod. Gives the directory of its admin socket. `through` is a program
        that becomes its arguments; `volume` has its token, and whom to trust.
        """
        who = ProxyIdentity(Identity(TRUST_DOMAIN, "default", name), name)
        bootstrap = Bootstrap(
            who,
            self._address(),
            NAME,
            PipeAddress(str(directory / ADMIN_SOCKET)),
            str(volume or directory),
            shows_token=volume is not None,
            probes=probes,
        )
        files = {"envoy.json": build_bootstrap(bootstrap)}
        if volume is None:
            pair = await self.pair_of(name)
            files[CERTIFICATE_FILE] = build_certificate_file(pair.certificate, pair.private_key)
            files[TRUST_FILE] = build_trust_file(self.tresor.trust_bundle, NAME)
        for file, text in files.items():
            (directory / file).write_text(text)
        with (directory / "envoy.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *through, envoy_binary(), "-c", directory / "envoy.json", *envoy_arguments("error"),
                stdout=output, stderr=output,
            )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await listens(directory / ADMIN_SOCKET):
                    assert process.returncode is None, (directory / "envoy.log").read_text()
                    await asyncio.sleep(0.02)
            yield directory
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def total(self, metric: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        found = 0.0
        for line in generate_latest(self.metrics.registry).decode().splitlines():
            series, _, value = line.rpartition(" ")
            name, _, rest = series.partition("{")
            have = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            if name == metric and labels.items() <= have.items():
                found += float(value)
        return found

    async def counts(self, metric: str, expected: float, **labels: str) -> None:
        """Wait until a metric has this value."""
        async with asyncio.timeout(PATIENCE_S):
            while self.total(metric, **labels) != expected:  # noqa: ASYNC110 - a scrape is a poll
                await asyncio.sleep(0.02)


def _credentials(pair: KeyPair, bundle: bytes) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(bundle, pair.private_key, pair.certificate)


class ServedProxy:
    """A proxy's end of a stream. Reads and acknowledges by itself, unless told otherwise."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.client = Client()
        self.responses: list[discovery_pb2.DeltaDiscoveryResponse] = []
        self.acknowledges = True
        self._arrived = asyncio.Condition()
        self._sending = asyncio.Lock()
        self._reader = asyncio.create_task(self._read())

    async def ask(self, type_url: str, *wanted: str, held: Mapping[str, str] | None = None) -> None:
        await self.send(
            discovery_pb2.DeltaDiscoveryRequest(
                type_url=type_url,
                resource_names_subscribe=wanted,
                initial_resource_versions=held or {},
            )
        )

    async def send(self, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        await self.send_bytes(request.SerializeToString())

    async def send_bytes(self, message: bytes) -> None:
        async with self._sending:  # a call takes one message at a time
            await self._call.write(message)

    async def _read(self) -> None:
        with suppress(grpc.aio.AioRpcError):  # `ended` tells
            await self._read_all()
        async with self._arrived:
            self._arrived.notify_all()

    async def _read_all(self) -> None:
        while isinstance(message := await self._call.read(), bytes):
            response = self.client.apply(message)
            async with self._arrived:
                self.responses.append(response)
                self._arrived.notify_all()
            if self.acknowledges:
                await self.send(
                    discovery_pb2.DeltaDiscoveryRequest(
                        type_url=response.type_url, response_nonce=response.nonce
                    )
                )

    async def has(self, count: int) -> None:
        """Wait for this many responses, in all."""
        await self._until(lambda: len(self.responses) >= count)

    async def holds(self, type_url: str, name: str, version: str) -> None:
        await self._until(lambda: self.client.held.get(type_url, {}).get(name) == version)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._arrived:
            await self._arrived.wait_for(lambda: condition() or self._call.done())
        assert condition(), f"the stream has ended: {await self.ended()}, {await self.why()}"

    async def ended(self) -> grpc.StatusCode:
        """Wait for the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._call.code()

    async def why(self) -> str:
        return str(await self._call.details())

    def resources(self) -> int:
        return sum(len(response.resources) for response in self.responses)

    def stop(self) -> None:
        self._reader.cancel()


class Tap:
    """Stands between a client and the server, and can stop taking the server's bytes."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self.address = f"unix:{directory / 'tap.sock'}"
        self._upstream = upstream.removeprefix("unix:")
        self._open = asyncio.Event()
        self._open.set()
        self.taken = 0
        """Bytes of the server."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Tap"]:
        path = self.address.removeprefix("unix:")
        async with await asyncio.start_unix_server(self._serve, path, limit=4096):
            yield self

    def close(self) -> None:
        """Read nothing more."""
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._upstream, limit=4096)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(client, to_server))
                both.create_task(self._pump_slowly(server, to_client))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            to_server.close()
            to_client.close()

    async def _pump_slowly(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            await self._open.wait()
            data = await source.read(4096)
            if not data:
                raise ConnectionResetError
            self.taken += len(data)
            to.write(data)
            await to.drain()


async def _pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(4096):
        to.write(data)
        await to.drain()
    raise ConnectionResetError


def version_of(plane: ControlPlane, name: str, type_url: str = types.ENDPOINT) -> str:
    """The present version of a resource that somebody holds."""
    number = next(iter(plane.sessions))
    resource = plane.distribution.lookup(number, type_url, name)
    assert resource is not None
    return resource.version
