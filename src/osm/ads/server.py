"""The gRPC server: mutual TLS, one incremental stream a proxy, and the log of refusals.

Bytes of resources are made once (`core.xds.resource`) and handed to gRPC as they are.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import structlog

from osm._envoy.envoy.service.accesslog.v3 import als_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane
from osm.ads.observer import Observer
from osm.ads.session import Session
from osm.core.model.identity import ProxyIdentity
from osm.core.xds.delta import PENDING_KEPT, Response
from osm.ports import KeyPair

log = structlog.get_logger("osm.ads")

DISCOVERY = "envoy.service.discovery.v3.AggregatedDiscoveryService"
ACCESS_LOG = "envoy.service.accesslog.v3.AccessLogService"
MAXIMUM_REQUEST = 4 * 1024 * 1024
WRITE_LIMIT_S = 60.0
"""A proxy that takes nothing for so long is cut off; it reconnects with what it has."""

OPTIONS = (
    ("grpc.max_receive_message_length", MAXIMUM_REQUEST),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)

Authenticate = Callable[[bytes], ProxyIdentity | str]
"""From a presented certificate chain (PEM) to the proxy that it proves, or why it proves nothing."""
EnsureCertificate = Callable[[ProxyIdentity], Awaitable[None]]
"""Makes sure that the control plane has a certificate for a proxy's identity."""
TakeDenial = Callable[[als_pb2.StreamAccessLogsMessage, ProxyIdentity], None]
"""Takes a message of refused requests from the proxy that sent it."""

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Context = grpc.aio.ServicerContext[bytes, bytes]


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
    ) -> None:
        self._observer = observer
        self._control_plane = control_plane
        self._authenticate = authenticate
        self._ensure_certificate = ensure_certificate
        self._take_denial = take_denial

    async def serve(
        self,
        address: str,
        certificate: Callable[[], KeyPair],
        bundle: bytes,
        started: asyncio.Event,
    ) -> None:
        """Serve on `unix:<path>` or `<host>:<port>` until cancelled. `certificate` gives the present
        server certificate for each handshake, so that it renews without a restart.
        """
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self._handlers(),))

        present = certificate()

        def configuration(pair: KeyPair) -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration(
                [(pair.private_key, pair.certificate)], root_certificates=bundle
            )

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            # None when it is the same: gRPC replaces what it has without a lock, and handshakes that
            # go on at that moment crash the process (measured with grpcio 1.85: one in 500).
            nonlocal present
            pair = certificate()
            if pair is present:
                return None
            present = pair
            return configuration(pair)

        credentials = grpc.dynamic_ssl_server_credentials(
            configuration(present),
            # gRPC takes None for "no change"; its type stubs do not know that.
            cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed),
            require_client_authentication=True,
        )
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)
        server.add_secure_port(address, credentials)
        await server.start()
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).chmod(0o600)
        started.set()
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(0.2)

    def _handlers(self) -> grpc.GenericRpcHandler:
        discovery: Method = grpc.stream_stream_rpc_method_handler(
            self._discover,
            request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString,
            response_serializer=None,
        )
        access_log: Method = grpc.stream_unary_rpc_method_handler(
            self._take_logs,
            request_deserializer=als_pb2.StreamAccessLogsMessage.FromString,
            response_serializer=als_pb2.StreamAccessLogsResponse.SerializeToString,
        )
        return _Handlers(
            {
                f"/{DISCOVERY}/DeltaAggregatedResources": discovery,
                f"/{ACCESS_LOG}/StreamAccessLogs": access_log,
            }
        )

    async def _discover(
        self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], context: _Context
    ) -> None:
        proxy = await self._peer(context)
        await self._ensure_certificate(proxy)
        session = self._control_plane.connect(proxy)
        self._observer.connected(again=session.is_reconnect)
        log.info("proxy connected", proxy=proxy.name)
        reader = asyncio.create_task(self._read(requests, session))
        try:
            await self._write(session, reader, context)
        finally:
            reader.cancel()
            self._control_plane.disconnect(session)
            self._observer.disconnected()
            if session.is_expired:
                self._observer.forget(proxy.name)
            log.info("proxy disconnected", proxy=proxy.name)

    async def _read(
        self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], session: Session
    ) -> None:
        async for request in requests:
            refusal = session.take_request(request)
            self._observer.requested(session.proxy.name, session.identity, request.type_url)
            sent_at = session.sent_at.pop(request.response_nonce, None)
            if sent_at is not None:
                took = time.monotonic() - sent_at
                if refusal is None:
                    self._observer.acknowledged(request.type_url, took)
                else:
                    self._observer.refused_configuration(request.type_url, took)
            if refusal is not None:
                self._control_plane.refused(session, refusal)

    async def _write(
        self, session: Session, reader: "asyncio.Task[None]", context: _Context
    ) -> None:
        while True:
            waiting = asyncio.ensure_future(session.next_responses())
            try:
                await asyncio.wait({waiting, reader}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not waiting.done():
                    waiting.cancel()
            if not waiting.done() or waiting.cancelled():
                return  # the proxy has gone
            if session.is_expired:
                await context.abort(
                    grpc.StatusCode.PERMISSION_DENIED,
                    "this proxy's workload does not exist any more",
                )
            for response in waiting.result():
                await self._send(session, response, context)

    async def _send(self, session: Session, response: Response, context: _Context) -> None:
        labels = (session.proxy.name, session.identity, response.type_url)
        session.sent_at[response.nonce] = time.monotonic()
        if len(session.sent_at) > PENDING_KEPT:  # a proxy that never answers costs no more
            del session.sent_at[next(iter(session.sent_at))]
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                await context.write(response.wire)
        except BaseException:
            self._observer.not_sent(*labels)
            raise
        self._observer.sent(*labels, len(response.wire))

    async def _take_logs(
        self, messages: AsyncIterator[als_pb2.StreamAccessLogsMessage], context: _Context
    ) -> als_pb2.StreamAccessLogsResponse:
        proxy = await self._peer(context)
        async for message in messages:
            self._take_denial(message, proxy)
        return als_pb2.StreamAccessLogsResponse()

    async def _peer(self, context: _Context) -> ProxyIdentity:
        """Who is at the other end, by its certificate alone: what a proxy says of itself counts
        nothing. Aborts the call when that is nobody.
        """
        chain = next(iter(context.auth_context().get("x509_pem_cert", ())), b"")
        proxy = self._authenticate(chain)
        if isinstance(proxy, str):
            self._observer.refused_client(proxy)
            log.warning("refused a connection", reason=proxy)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, proxy)
            raise AssertionError  # noqa: TRY004 abort has raised
        if not self._control_plane.catalog.is_known(proxy):
            # The pod may be so new that its object is still on the way: the proxy tries again.
            await context.abort(
                grpc.StatusCode.UNAVAILABLE, f"no workload {proxy.name} with this identity is known"
            )
        return proxy


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods = methods

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Method | None":
        return self._methods.get(handler_call_details.method)
