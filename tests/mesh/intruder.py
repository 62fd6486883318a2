"""What somebody has who sits on the mesh's machine with keys of the mesh: certificates, TLS, xDS.

The tests read the mesh's own root key for that; a workload cannot (`test_bypass`).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.message import Message

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.model.identity import Identity, ProxyIdentity
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.ports import KeyPair

TRUST_DOMAIN = "cluster.local"
DISCOVERY = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

_Call = grpc.aio.StreamStreamCall[Message, discovery_pb2.DeltaDiscoveryResponse]


def open_tresor(state: Path, validity: timedelta = timedelta(hours=1)) -> Tresor:
    """The issuer whose root is kept in a state directory; a new one where there is none."""
    return Tresor.open(
        state / "ca", trust_domain=TRUST_DOMAIN, leaf_validity=validity, clock=SystemClock()
    )


def identity(name: str) -> Identity:
    """The identity `<namespace>/<service account>`."""
    namespace, _, account = name.partition("/")
    return Identity(TRUST_DOMAIN, namespace, account)


def proxy_identity(pod: str, account: str = "") -> ProxyIdentity:
    """The proxy of `<namespace>/<pod>`; the account is named like the namespace."""
    namespace, _, name = pod.partition("/")
    return ProxyIdentity(Identity(TRUST_DOMAIN, namespace, account or namespace), name)


def client_context(
    directory: Path, bundle: bytes, pair: KeyPair | None, *, alpn: Iterable[str] = ()
) -> ssl.SSLContext:
    """A TLS client that presents a certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # names are URIs, which the tests look at themselves
    context.load_verify_locations(cadata=bundle.decode())
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if pair is not None:
        file = directory / "pair.pem"
        file.write_bytes(pair.private_key + pair.certificate)
        context.load_cert_chain(file)
    return context


def exchange(
    path: Path,
    data: bytes,
    context: ssl.SSLContext | None,
    *,
    enough: int = 0,
    timeout: float = 4.0,
) -> bytes:
    """Send bytes to a unix socket, in TLS or bare; read until the other side hangs up or so many came.

    Whatever goes wrong in between gives what came until then. Raises `TimeoutError` when the other
    side neither answers nor hangs up.
    """
    got = b""
    with socket.socket(socket.AF_UNIX) as bare:
        bare.settimeout(timeout)
        bare.connect(str(path))
        line = bare
        try:
            if context is not None:
                line = context.wrap_socket(bare, server_hostname="any.svc.cluster.local")
            if data:
                line.sendall(data)
            while (not enough or len(got) < enough) and (piece := line.recv(65536)):
                got += piece
        except (ssl.SSLError, ConnectionError):
            pass
        finally:
            line.close()
    return got


def http_request(path: str = "/", host: str = "server.server", *headers: str) -> bytes:
    """A GET after which the server closes."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode()


class XdsClient:
    """Asks the control plane for configuration, with somebody's certificate. Use `open`."""

    def __init__(self, call: _Call, node: str) -> None:
        self._call = call
        self._node = node
        self._answers: asyncio.Queue[discovery_pb2.DeltaDiscoveryResponse] = asyncio.Queue()

    async def listen(self) -> None:
        """Take answers until the stream ends; raises what it ended with."""
        async for answer in self._call:
            self._answers.put_nowait(answer)

    async def ask(
        self, type_url: str, names: Iterable[str] = (), *, within: float = 1.0
    ) -> dict[str, bytes]:
        """Subscribe, and collect what is sent of the type: resources by name, serialised.

        Resources without a body say that there is nothing, and are left out.
        """
        request = discovery_pb2.DeltaDiscoveryRequest(
            node=base_pb2.Node(id=self._node, cluster="any"),
            type_url=type_url,
            resource_names_subscribe=list(names),
        )
        with suppress(asyncio.InvalidStateError):  # it has ended, and `listen` knows why
            await self._call.write(request)
        found: dict[str, bytes] = {}
        try:
            async with asyncio.timeout(within):
                while True:
                    answer = await self._answers.get()
                    if answer.type_url == type_url:
                        found |= {
                            r.name: r.resource.value
                            for r in answer.resources
                            if r.HasField("resource")
                        }
        except TimeoutError:
            pass
        return found


@asynccontextmanager
async def open_xds(
    socket_path: Path, bundle: bytes, pair: KeyPair | None, node: str = ""
) -> AsyncIterator[XdsClient]:
    """Connect to the control plane as its proxies do. Raises `AioRpcError` when that ends it."""
    credentials = grpc.ssl_channel_credentials(
        bundle, pair.private_key if pair else None, pair.certificate if pair else None
    )
    options = [("grpc.ssl_target_name_override", f"ads.{TRUST_DOMAIN}")]
    async with grpc.aio.secure_channel(f"unix:{socket_path}", credentials, options) as channel:
        method = channel.stream_stream(
            DISCOVERY,
            request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
        )
        call = method()
        client = XdsClient(call, node)
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            if not listening.done():
                listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            call.cancel()
