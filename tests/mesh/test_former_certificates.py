"""A proxy of OSM v1.2 at the door: a certificate of the same root that has a DNS name and no SPIFFE ID.

What `osm migrate check` plans with (`core.migrate.plan`) rests on this: it is refused.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from osm.ports import KeyPair

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service
from .intruder import client_context, exchange, http_request, identity, open_tresor

SERVER, PORT = "server/server-0", 8000
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("server"),
        service("server", ports=((80, PORT, "http"),)),
        http_access("web", "server/server", ("client/client",)),
    )
)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(2)
        await running.settle()
        yield running


def leaf(mesh: MeshUnderTest, *names: x509.GeneralName) -> KeyPair:
    """As OSM signed them for an account, by the mesh's own root."""
    root = open_tresor(mesh.state)._root
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
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(authority, critical=False)
        .sign(root.key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(pem), private, now, certificate.not_valid_after_utc)


async def refused(mesh: MeshUnderTest) -> int:
    stats = await mesh.api.proxy_admin(SERVER, "stats?filter=ssl.fail_verify_san")
    return sum(int(line.rpartition(":")[2]) for line in stats.decode().splitlines())


async def answer_to(mesh: MeshUnderTest, directory: Path, *names: x509.GeneralName) -> bytes:
    bundle = open_tresor(mesh.state).trust_bundle
    context = client_context(directory, bundle, leaf(mesh, *names))
    path = mesh.inbound_socket(SERVER, PORT)
    return await asyncio.to_thread(exchange, path, http_request(), context, enough=12)


async def test_the_same_root_is_not_enough_without_a_spiffe_id(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    who = identity("client/client")
    dns, uri = x509.DNSName(who.dns_name), x509.UniformResourceIdentifier(who.spiffe_id)
    before = await refused(mesh)
    assert await answer_to(mesh, tmp_path, dns) == b""
    assert await refused(mesh) == before + 1
    assert (await answer_to(mesh, tmp_path, uri, dns)).startswith(b"HTTP/1.1 200")
    assert await refused(mesh) == before + 1
