"""The transport by grpc.aio. All that is known of its habits is in here.

Most of a push is its cost: with 1,000 streams and mutual TLS a push of bytes that exist already takes
120 µs of CPU with handlers that do nothing else, and 170 with `AdsServer`'s (measured in turns).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

# Before it is loaded: else it prints, byte for byte, what anybody says who closes a connection.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import grpc.aio

from osm.ads.transport import CallEnded, Handler
from osm.ports import KeyPair

MAXIMUM_REQUEST = 4 * 1024 * 1024
STOP_GRACE_S = 0.2
BEARER = "Bearer "

OPTIONS = (
    ("grpc.max_receive_message_length", MAXIMUM_REQUEST),
    ("grpc.max_send_message_length", -1),
    # A peer that answers no ping for so long is gone: its connection is closed. Not so on a unix
    # socket that the peer does not empty: there the ping waits behind the data, and the connection,
    # with what the kernel holds of it (240 KB), stays until the peer goes (measured).
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
    # Each connection has buffers as large as a TLS record. Records of 4 KB in place of 16 take 15 KB less
    # for each, and no more time that could be measured.
    ("grpc.tsi.max_frame_size", 4096),
)

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Context = grpc.aio.ServicerContext[bytes, bytes]
_Behaviour = Callable[[AsyncIterator[bytes], _Context], Awaitable[None]]


class GrpcTransport:
    """Implements `osm.ads.transport.Transport`."""

    async def serve(
        self,
        address: str,
        certificate: Callable[[], KeyPair],
        bundle: bytes | None,
        started: asyncio.Event,
        handlers: Mapping[str, Handler],
    ) -> None:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((_Methods(handlers),))
        socket = Path(address.removeprefix("unix:")) if address.startswith("unix:") else None
        if socket is not None:
            socket.unlink(missing_ok=True)
        server.add_secure_port(address, _credentials(certificate, bundle))
        await server.start()
        if socket is not None:
            socket.chmod(0o600)
        started.set()
        try:
            # Not `wait_for_termination`: cancelled, it leaves the server unable to stop, and clients
            # keep their connections to nobody (measured).
            await asyncio.Event().wait()
        finally:
            await server.stop(STOP_GRACE_S)


def _credentials(
    certificate: Callable[[], KeyPair], bundle: bytes | None
) -> grpc.ServerCredentials:
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

    return grpc.dynamic_ssl_server_credentials(
        configuration(present),
        # gRPC takes None for "no change"; its type stubs do not know that.
        cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed),
        # gRPC for Python demands certificates of all clients of a port, or of none.
        require_client_authentication=bundle is not None,
    )


class _Call:
    """Implements `osm.ads.transport.Call`."""

    def __init__(self, requests: AsyncIterator[bytes], context: _Context) -> None:
        self._requests = requests
        self._context = context
        self.send = context.write

    @property
    def certificate_chain(self) -> bytes:
        return next(iter(self._context.auth_context().get("x509_pem_cert", ())), b"")

    @property
    def bearer_token(self) -> str:
        for name, value in self._context.invocation_metadata() or ():
            if name == "authorization" and isinstance(value, str) and value.startswith(BEARER):
                return value.removeprefix(BEARER)
        return ""

    def requests(self) -> AsyncIterator[bytes]:
        return self._requests


class _Methods(grpc.GenericRpcHandler):
    """Every method is served as streaming both ways: on the wire a single message is the same."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._methods: dict[str, Method] = {
            path: grpc.stream_stream_rpc_method_handler(_behaviour(handler))
            for path, handler in handlers.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Method | None":
        return self._methods.get(handler_call_details.method)


def _behaviour(handler: Handler) -> _Behaviour:
    async def behave(requests: AsyncIterator[bytes], context: _Context) -> None:
        try:
            await handler(_Call(requests, context))
        except CallEnded as ended:
            await context.abort(grpc.StatusCode[ended.code.value], ended.message)

    return behave
