"""One listener takes the mesh's own traffic and what comes from outside: a real Envoy chooses.

As on Kubernetes, but for how Envoy learns where a connection was going: by the PROXY protocol instead
of the kernel's redirection. Which chain it was is seen from the reason of its refusal.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from tests.unit.envoy.static import StaticEnvoy

from osm._envoy.envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.envoy import names
from osm.core.envoy.secret import (
    CertificateSecret,
    TrustSecret,
    build_certificate_secret,
    build_trust_secret,
)
from osm.core.pki.certificate import Root, build_leaf, build_root
from osm.local.proxy import envoy_binary
from osm.testing.builders import Document, identity, ingress_backend, model, pod, service

HTTP, HTTPS, NONE = 8080, 8081, 8082
MESH = "shop.default.svc.cluster.local"
"""What the mesh's proxies ask for. Here a gateway may ask for it too."""
NOWHERE = ({"kind": "IPRange", "name": "192.0.2.0/24"},)
SHOP = (
    pod("shop"),
    service(
        "shop",
        *(
            {"port": port, "name": f"http-{port}", "targetPort": port}
            for port in (HTTP, HTTPS, NONE)
        ),
    ),
    ingress_backend(
        "i",
        (
            {"name": "shop", "port": {"number": HTTP, "protocol": "http"}},
            {
                "name": "shop",
                "port": {"number": HTTPS, "protocol": "https"},
                "tls": {"skipClientCertValidation": True, "sniHosts": [MESH, "x.test"]},
            },
        ),
        NOWHERE,
    ),
)
PEM = serialization.Encoding.PEM
BY_MESH, BY_INGRESS, CLOSED = "no-access-rule-for-source", "no-ingress-for-address", ""


class Listening:
    """An Envoy with the shop's inbound listener."""

    def __init__(self, path: Path, contexts: Path) -> None:
        self._path = path
        self._contexts = contexts
        self.file = contexts / "listeners.json"
        """What Envoy listens with; it watches the file."""

    def tell(self, static: StaticEnvoy) -> None:
        """Give Envoy the inbound listener of a mesh, with the PROXY protocol for redirection."""
        listeners = static.bootstrap.static_resources.listeners
        inbound = next(each for each in listeners if names.INBOUND_LISTENER in each.name)
        inbound.name = names.INBOUND_LISTENER
        inbound.address.pipe.path = str(self._path)
        inbound.listener_filters[0].Clear()
        inbound.listener_filters[0].name = "envoy.filters.listener.proxy_protocol"
        inbound.listener_filters[0].typed_config.Pack(proxy_protocol_pb2.ProxyProtocol())
        response = discovery_pb2.DiscoveryResponse()
        response.resources.add().Pack(inbound)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json_format.MessageToJson(response, preserving_proto_field_name=True))
        fresh.rename(self.file)

    def ask(self, port: int, alpn: Sequence[str] | None = None, server_name: str = MESH) -> str:
        """The reason of a refusal on a connection of its own; see `connect` and `refusal`."""
        try:
            with self.connect(port, alpn, server_name) as line:
                return refusal(line)
        except (ssl.SSLError, ConnectionError):
            return CLOSED

    def connect(self, port: int, alpn: Sequence[str] | None, server_name: str) -> socket.socket:
        """Connect to a port; without ALPN in plain text."""
        bare = socket.socket(socket.AF_UNIX)
        bare.settimeout(5)
        bare.connect(str(self._path))
        bare.sendall(f"PROXY TCP4 10.0.0.7 10.0.0.1 40000 {port}\r\n".encode())
        return bare if alpn is None else self._wrap(bare, alpn, server_name)

    def _wrap(self, bare: socket.socket, alpn: Sequence[str], server_name: str) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self._contexts / "roots.pem")
        context.load_cert_chain(self._contexts / "pair.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(bare, server_hostname=server_name)


def refusal(line: socket.socket) -> str:
    """Ask for something, and tell the reason of the refusal; empty when the connection is closed."""
    line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer and (piece := line.recv(65536)):
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(text.split(": ", 1) for text in head.decode().lower().splitlines()[1:])
    missing = int(fields.get("content-length", 0)) - len(body)
    while missing > 0 and (piece := line.recv(missing)):
        missing -= len(piece)
    assert fields.get("connection") != "close"
    return fields.get("x-osm-denied", "").partition("[")[2].removesuffix("]")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def envoy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Listening]:
    directory = tmp_path_factory.mktemp("envoy")
    listening = Listening(directory / "in.sock", directory)
    static = _static(directory, SHOP)
    listening.tell(static)
    del static.bootstrap.static_resources.listeners[:]
    static.bootstrap.ClearField("dynamic_resources")
    static.bootstrap.dynamic_resources.lds_config.path_config_source.path = str(listening.file)
    layers = static.bootstrap.layered_runtime.layers
    for layer in [each for each in layers if each.HasField("rtds_layer")]:
        layers.remove(layer)
    file = directory / "envoy.json"
    file.write_text(json_format.MessageToJson(static.bootstrap, preserving_proto_field_name=True))
    process = await asyncio.create_subprocess_exec(
        *(envoy_binary(), "-c", str(file), "--disable-hot-restart"),
        *("--concurrency", "1", "-l", "error"),
    )
    try:
        async with asyncio.timeout(20):
            while not _answers(directory / "in.sock"):
                assert process.returncode is None, "Envoy has refused its configuration"
                await asyncio.sleep(0.02)
        yield listening
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _static(directory: Path, objects: Sequence[Document]) -> StaticEnvoy:
    static = StaticEnvoy(directory)
    static.add_model(model(*objects))
    resources = static.bootstrap.static_resources
    del resources.secrets[:]
    resources.secrets.extend(_secrets(directory))
    return static


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(str(path)) == 0


def _secrets(directory: Path) -> list[secret_pb2.Secret]:
    """What the shop shows and trusts; a client's certificate goes into a file."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    root = Root(build_root(key, serial=1, now=now), key)
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chains = [
        build_leaf(
            root,
            identity(name),
            key.public_key(),
            serial=number,
            now=now,
            validity=timedelta(hours=1),
        ).public_bytes(PEM)
        for number, name in enumerate(("shop", "client"), 2)
    ]
    roots = root.certificate.public_bytes(PEM)
    (directory / "roots.pem").write_bytes(roots)
    (directory / "pair.pem").write_bytes(private + chains[1])
    own = CertificateSecret(names.SERVICE_CERTIFICATE, chains[0], private, "1")
    return [
        build_certificate_secret(own),
        build_trust_secret(TrustSecret(names.ROOT_CERTIFICATES, roots)),
    ]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("port", "alpn", "server_name", "reason"),
    [
        pytest.param(NONE, ("osm",), MESH, BY_MESH, id="the mesh, nothing else on the port"),
        pytest.param(NONE, (), MESH, CLOSED, id="TLS of others, nothing else on the port"),
        pytest.param(NONE, None, "", CLOSED, id="plain HTTP, nothing else on the port"),
        pytest.param(HTTP, ("osm",), MESH, BY_MESH, id="the mesh beside plain HTTP"),
        pytest.param(HTTP, None, "", BY_INGRESS, id="plain HTTP"),
        pytest.param(HTTP, (), MESH, CLOSED, id="TLS of others where plain HTTP is meant"),
        pytest.param(HTTPS, ("osm",), MESH, BY_MESH, id="the mesh, by a name that others have too"),
        pytest.param(HTTPS, ("osm",), "a.test", BY_MESH, id="the mesh, by a name of its own"),
        pytest.param(HTTPS, ("http/1.1",), MESH, BY_INGRESS, id="HTTPS by the mesh's name"),
        pytest.param(HTTPS, (), "x.test", BY_INGRESS, id="HTTPS without ALPN"),
        pytest.param(HTTPS, (), "y.test", CLOSED, id="HTTPS by a name that nobody has"),
        pytest.param(HTTPS, None, "", CLOSED, id="plain HTTP where HTTPS is meant"),
    ],
)
async def test_each_caller_meets_the_rules_that_are_for_it(
    envoy: Listening, port: int, alpn: tuple[str, ...] | None, server_name: str, reason: str
) -> None:
    assert await asyncio.to_thread(envoy.ask, port, alpn, server_name or MESH) == reason


@pytest.mark.asyncio(loop_scope="module")
async def test_connections_of_the_mesh_outlive_an_ingress_that_comes_and_goes(
    envoy: Listening, tmp_path: Path
) -> None:
    async def until(reason: str) -> None:
        async with asyncio.timeout(5):
            while True:
                if await asyncio.to_thread(envoy.ask, HTTP) == reason:
                    return
                await asyncio.sleep(0.02)

    with_ingress, without = (_static(tmp_path, objects) for objects in (SHOP, SHOP[:2]))
    with await asyncio.to_thread(envoy.connect, HTTPS, ("osm",), MESH) as line:
        for static, reason in ((without, CLOSED), (with_ingress, BY_INGRESS), (without, CLOSED)):
            envoy.tell(static)
            await until(reason)
            assert await asyncio.to_thread(refusal, line) == BY_MESH
    envoy.tell(with_ingress)
    await until(BY_INGRESS)
