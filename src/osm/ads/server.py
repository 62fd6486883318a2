"""The server: one incremental stream a proxy, and the log of refusals. Knows no transport.

Bytes of resources are made once (`core.xds.resource`) and handed to the transport as they are.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from google.protobuf.message import DecodeError

from osm._envoy.envoy.service.accesslog.v3 import als_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane
from osm.ads.observer import Observer
from osm.ads.session import Batch, Session
from osm.ads.transport import Call, CallEnded, Code, Transport
from osm.core.envoy.names import SERVICE_CERTIFICATE
from osm.core.model.identity import ProxyIdentity
from osm.core.xds.stream_state import Response
from osm.kit.loop_lag import watch_loop_lag
from osm.kit.turns import Turns
from osm.ports import KeyPair, Unproven

log = structlog.get_logger("osm.ads")

DISCOVERY = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
ACCESS_LOG = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
WRITE_LIMIT_S = 60.0
"""A proxy that takes nothing for so long is cut off; it reconnects with what it has."""
KNOWN_WITHIN_S = 3.0
KNOWN_POLL_S = 0.1

Authenticate = Callable[[bytes], ProxyIdentity | str]
"""From a presented certificate chain (PEM) to the proxy that it proves, or why it proves nothing."""
ReviewToken = Callable[[str], Awaitable[ProxyIdentity | Unproven]]
"""From a token to the proxy that it proves. It is not called for a client with a certificate."""
EnsureCertificate = Callable[[ProxyIdentity, str], Awaitable[None]]
"""Makes sure that there is a certificate for a proxy's identity. The text is the version of the one
that the proxy holds, or empty.
"""
TakeDenial = Callable[[als_pb2.StreamAccessLogsMessage, ProxyIdentity], None]
"""Takes a message of refused requests from the proxy that sent it."""


class AdsServer:
    """Serves a `ControlPlane`. Use `serve` inside of a task group; cancelling it stops the server."""

    def __init__(
        self,
        control_plane: ControlPlane,
        *,
        authenticate: Authenticate,
        ensure_certificate: EnsureCertificate,
        take_denial: TakeDenial,
        observer: Observer,
        transport: Transport,
        review_token: ReviewToken | None = None,
        write_limit_s: float = WRITE_LIMIT_S,
    ) -> None:
        self._observer = observer
        self._control_plane = control_plane
        self._authenticate = authenticate
        self._review_token = review_token
        self._ensure_certificate = ensure_certificate
        self._take_denial = take_denial
        self._transport = transport
        self._write_limit_s = write_limit_s
        self._turns = Turns()
        self._writers: dict[Session, asyncio.Task[object]] = {}
        self._cut_off: set[Session] = set()
        self._absent: set[ProxyIdentity] = set()
        """Proxies that were here: what was counted of them goes when their workloads do."""
        observer.watch_pending(self._pending)

    async def serve(
        self,
        address: str,
        certificate: Callable[[], KeyPair],
        bundle: bytes | None,
        started: asyncio.Event,
    ) -> None:
        """Serve on `unix:<path>` or `<host>:<port>` until cancelled. `certificate` gives the present
        server certificate for each handshake, so that it renews without a restart. Clients must have
        a certificate that `bundle` vouches for; without a bundle they show a token.
        """
        handlers = {DISCOVERY: self._discover, ACCESS_LOG: self._take_logs}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch_loop_lag(self._observer.loop_lag))
            tasks.create_task(self._tidy())
            await self._transport.serve(address, certificate, bundle, started, handlers)

    async def _discover(self, call: Call) -> None:
        await self._turns.take()
        proxy = await self._peer(call)
        self._check_room()
        session = self._control_plane.connect(proxy)
        self._absent.discard(proxy)
        self._observer.connected(again=session.is_reconnect)
        log.info("proxy connected", proxy=proxy.name)
        reader = asyncio.create_task(self._read(call, session))
        try:
            await self._write(call, session)
            reader.result()
        finally:
            reader.cancel()
            self._control_plane.disconnect(session)
            self._observer.disconnected()
            self._absent.add(proxy)
            log.info("proxy disconnected", proxy=proxy.name)

    def _check_room(self) -> None:
        """End the call when MeshConfig lets no more proxies in; another replica may have room."""
        limit = self._control_plane.model.settings.proxies_at_most
        if limit and len(self._control_plane.sessions) >= limit:
            log.warning("no room for another proxy", limit=limit)
            raise CallEnded(
                Code.RESOURCE_EXHAUSTED,
                f"MeshConfig spec.sidecar.maxDataPlaneConnections lets {limit} proxies in",
            )

    async def _read(self, call: Call, session: Session) -> None:
        proxy, observer = session.proxy.name, self._observer
        try:
            async for message in call.requests():
                request = discovery_pb2.DeltaDiscoveryRequest.FromString(message)
                if request.initial_resource_versions or len(request.resource_names_subscribe) > 1:
                    await self._turns.take()  # reconnections come by the hundred, and weigh more
                if SERVICE_CERTIFICATE in request.resource_names_subscribe:
                    held = request.initial_resource_versions.get(SERVICE_CERTIFICATE, "")
                    await self._ensure_certificate(session.proxy, held)
                received = session.take_request(request)
                observer.requested(proxy, session.identity, request.type_url)
                if received.took_s is not None:
                    if received.refusal is None:
                        observer.acknowledged(request.type_url, received.took_s)
                    else:
                        observer.refused_configuration(request.type_url, received.took_s)
                        self._control_plane.refused(session, received.refusal)
        except DecodeError as error:
            raise CallEnded(Code.INVALID_ARGUMENT, f"not a request: {error}") from None
        finally:
            session.end()

    async def _write(self, call: Call, session: Session) -> None:
        """Send what there is to say until the proxy has gone."""
        writer = asyncio.current_task()
        assert writer is not None
        self._writers[session] = writer
        try:
            while True:
                await session.wake.wait()
                if pause_s := session.pause_s(time.monotonic()):
                    await asyncio.sleep(pause_s)
                await self._turns.take()
                if session.is_expired:
                    raise CallEnded(
                        Code.PERMISSION_DENIED, "this proxy's workload does not exist any more"
                    )
                if session.is_closed:
                    return
                batch = session.take_responses()
                for response in batch.responses:
                    session.writing_since = time.monotonic()
                    await call.send(response.wire)
                    self._count(session, response, batch)
                    session.writing_since = None
        except asyncio.CancelledError:
            if session in self._cut_off and not writer.uncancel():
                raise CallEnded(
                    Code.RESOURCE_EXHAUSTED, "this proxy does not take its configuration"
                ) from None
            raise
        finally:
            if session.writing_since is not None:
                self._observer.not_sent(session.proxy.name, session.identity, response.type_url)
            del self._writers[session]
            self._cut_off.discard(session)

    def _count(self, session: Session, response: Response, batch: Batch) -> None:
        self._observer.sent(
            session.proxy.name,
            session.identity,
            response.type_url,
            size=len(response.wire),
            resources=len(response.names),
            queued_s=time.monotonic() - batch.queued_at,
            triggers=batch.why(response.type_url),
        )

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._write_limit_s / 10)
            self._cut_off_slow()
            self._forget_gone()

    def _cut_off_slow(self) -> None:
        """End the streams of proxies that take nothing. For all from one place: a timer for each
        response would cost more than what it guards against.
        """
        now = time.monotonic()
        for session, writer in self._writers.items():
            since = session.writing_since
            if since is None or now - since < self._write_limit_s or session in self._cut_off:
                continue
            log.warning("a proxy does not take its configuration", proxy=session.proxy.name)
            self._cut_off.add(session)
            self._observer.cut_off()
            writer.cancel()

    def _forget_gone(self) -> None:
        catalog = self._control_plane.catalog
        gone = {proxy for proxy in self._absent if not catalog.is_known(proxy)}
        for proxy in gone:
            self._observer.forget(proxy.name)
        self._absent -= gone

    async def _take_logs(self, call: Call) -> None:
        await self._turns.take()
        proxy = await self._peer(call)
        async for message in call.requests():
            self._take_denial(als_pb2.StreamAccessLogsMessage.FromString(message), proxy)
        await call.send(als_pb2.StreamAccessLogsResponse().SerializeToString())

    async def _peer(self, call: Call) -> ProxyIdentity:
        """Who is at the other end, by its proof alone: what a proxy says of itself counts nothing.
        Ends the call when that is nobody.
        """
        proxy = await self._prove(call)
        if isinstance(proxy, Unproven):
            self._observer.refused_client(proxy.reason)
            log.warning("refused a connection", reason=proxy.text)
            code = Code.UNAVAILABLE if proxy.later else Code.UNAUTHENTICATED
            raise CallEnded(code, proxy.text)
        if not await self._becomes_known(proxy):
            raise CallEnded(
                Code.UNAVAILABLE, f"no workload {proxy.name} with this identity is known"
            )
        return proxy

    async def _becomes_known(self, proxy: ProxyIdentity) -> bool:
        """In a cluster, a pod may be so new that its object, or its address, is still on the way to us. A
        proxy that is sent away comes back a second later and more, and its application waits for it.
        """
        patience_s = 0.0 if self._review_token is None else KNOWN_WITHIN_S
        for _ in range(int(patience_s / KNOWN_POLL_S)):
            if self._control_plane.catalog.is_known(proxy):
                return True
            await asyncio.sleep(KNOWN_POLL_S)
        return self._control_plane.catalog.is_known(proxy)

    async def _prove(self, call: Call) -> ProxyIdentity | Unproven:
        if self._review_token is not None and not call.certificate_chain:
            return await self._review_token(call.bearer_token)
        found = self._authenticate(call.certificate_chain)
        return Unproven(found, found) if isinstance(found, str) else found

    def _pending(self) -> dict[str, int]:
        """Responses that are not answered yet, by type. Called from the thread of a scrape."""
        counts: Counter[str] = Counter()
        for session in list(self._writers):
            for type_url, state in list(session.stream.types.items()):
                counts[type_url] += len(state.pending)
        return counts
