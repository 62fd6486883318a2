"""Proxies of OSM v1: certificates as OSM signed them, by the mesh's own root, and who shows them."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.waiting import listens

from osm.local.proxy import envoy_binary
from osm.ports import KeyPair

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, tcp_access
from .intruder import open_tresor

CLIENT, SERVER = "client/client-0", "server/server-0"
WEB, ECHO = 8000, 9000
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("server", arguments=("--echo", str(ECHO))),
        service("server", ports=((80, WEB, "http"), (ECHO, ECHO, "tcp"))),
        http_access("web", "server/server", ("client/client", "other/other")),
        # Else a connection would lead to whoever was the server when it was made.
        """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: server, namespace: server}
spec:
  host: server.server.svc.cluster.local
  connectionSettings: {http: {maxRequestsPerConnection: 1}}
""",
    )
)
SOURCES = ("client/client", "other/other")
OLD_BOOTSTRAP = "f3a0c4de-7c2b-4a55-9c1a-5f0a9b1f8f11.sidecar.client.client.cluster.local"


def names(*texts: str) -> tuple[x509.GeneralName, ...]:
    """Subject alternative names; those with a scheme are URIs."""
    return tuple(
        x509.UniformResourceIdentifier(text) if "://" in text else x509.DNSName(text)
        for text in texts
    )


def leaf(state: Path, *texts: str) -> KeyPair:
    """A certificate for a client and server with these names, and nothing else that names anybody."""
    root = open_tresor(state)._root
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    above = root.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "OSM")]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names(*texts)), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(authority, critical=False)
        .sign(root.key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(pem), private, now, certificate.not_valid_after_utc)


@asynccontextmanager
async def former_mesh(
    factory: pytest.TempPathFactory, takes_over: str
) -> AsyncIterator[MeshUnderTest]:
    """A client, and a server that it may call; `takes_over`: from which mesh of OSM's, or nothing."""
    directory = factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "tcp.yaml").write_text(tcp_access("echo", "server/server", SOURCES))
    async with local_mesh(directory, factory.mktemp("state"), former_mesh=takes_over) as running:
        await running.wait_ready(2)
        await running.settle()
        yield running


@contextmanager
def in_place_of(path: Path) -> Iterator[None]:
    """Leave a socket's path to another server, and give it back."""
    real = path.with_suffix(".real")
    path.rename(real)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        real.rename(path)


class Heard:
    """What an old server would choose its filter chain by, of the last connection."""

    server_name = ""
    protocol: str | None = None


@contextmanager
def former_tcp_server(path: Path, bundle: bytes, pair: KeyPair, directory: Path) -> Iterator[Heard]:
    """Answer each connection over mutual TLS with `old:` and what it said first."""
    file = directory / "server.pem"
    file.write_bytes(pair.private_key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=bundle.decode())
    context.load_cert_chain(file)
    context.set_alpn_protocols(["osm"])
    heard = Heard()

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        heard.server_name = name or ""

    context.sni_callback = note

    def answer(raw: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(raw, server_side=True) as line:
            heard.protocol = line.selected_alpn_protocol()
            line.sendall(b"old:" + line.recv(100))

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                raw, _ = listener.accept()
                raw.settimeout(5)
                answer(raw)

    with in_place_of(path), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield heard
        listener.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def former_http_server(
    path: Path, bundle: bytes, pair: KeyPair, directory: Path
) -> AsyncIterator[None]:
    """An Envoy with a chain as OSM made them for HTTP, which answers `old`, and in `x-spoken` how it was
    spoken to: what OSM's proxies speak to their applications, too.
    """
    files = {"root": bundle, "cert": pair.certificate, "key": pair.private_key}
    for name, content in files.items():
        (directory / name).write_bytes(content)
    file = directory / "former.json"
    file.write_text(json.dumps(_http_server(path, directory)))
    with in_place_of(path):
        process = await asyncio.create_subprocess_exec(
            *(envoy_binary(), "-c", str(file), "--disable-hot-restart", "--concurrency", "1"),
            *("-l", "error"),
        )
        try:
            async with asyncio.timeout(20):
                while not await listens(path):
                    assert process.returncode is None, "Envoy has refused its configuration"
                    await asyncio.sleep(0.02)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _http_server(path: Path, directory: Path) -> object:
    """OSM's `inbound_<service>_http` chain: by server name, TLS and ALPN; any protocol inside."""
    kinds = "type.googleapis.com/envoy.extensions"
    http = f"{kinds}.filters"
    tls = {
        "@type": f"{kinds}.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(directory / "cert")},
                    "private_key": {"filename": str(directory / "key")},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": str(directory / "root")}},
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
        },
    }
    manager = {
        "@type": f"{http}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "response_headers_to_add": [
                        {"header": {"key": "x-spoken", "value": "%PROTOCOL%"}}
                    ],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": "old"}},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{http}.http.router.v3.Router"}}
        ],
    }
    chain = {
        "filter_chain_match": {
            "server_names": ["server.server.svc.cluster.local"],
            "transport_protocol": "tls",
            "application_protocols": ["osm"],
        },
        "transport_socket": {"name": "tls", "typed_config": tls},
        "filters": [{"name": "http", "typed_config": manager}],
    }
    inspector = {"@type": f"{http}.listener.tls_inspector.v3.TlsInspector"}
    listener = {
        "name": "inbound",
        "address": {"pipe": {"path": str(path)}},
        "listener_filters": [{"name": "tls", "typed_config": inspector}],
        "filter_chains": [chain],
    }
    return {"static_resources": {"listeners": [listener]}}
