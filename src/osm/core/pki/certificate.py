"""Builds the mesh's root certificate and the leaves under it.

Every certificate has a subject key identifier, and every leaf names its root's: without them Envoy
cannot tell two roots of the same name apart, and a root rotation fails half of the handshakes.
"""

from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID, ObjectIdentifier

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.spiffe import is_well_formed
from osm.errors import IssuerError

ROOT_COMMON_NAME = "osm-ca.openservicemesh.io"
ORGANIZATION = "Open Service Mesh"
ROOT_LIFETIME = timedelta(days=3650)

BACKDATE = timedelta(minutes=5)
"""How far behind the clocks of those who verify may be."""

COMMON_NAME_LIMIT = 64
"""RFC 5280, appendix A: ub-common-name."""


class ServerName(msgspec.Struct, frozen=True, order=True, gc=False):
    """A server of the control plane, by the DNS name that its clients verify."""

    dns_name: str


Subject = Identity | ProxyIdentity | ServerName
"""Whom a leaf is for."""


class Root(msgspec.Struct, frozen=True):
    """A certificate that signs, with its key. The key never appears in a repr."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey | RSAPrivateKey

    def __repr__(self) -> str:
        return f"Root(not_after={self.certificate.not_valid_after_utc.isoformat()})"


def build_root(
    key: EllipticCurvePrivateKey,
    *,
    serial: int,
    now: datetime,
    lifetime: timedelta = ROOT_LIFETIME,
) -> x509.Certificate:
    """Build a self-signed root, back-dated so that its first leaves are valid at once."""
    name = _name(ROOT_COMMON_NAME)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )


def build_leaf(
    root: Root,
    subject: Subject,
    public_key: EllipticCurvePublicKey,
    *,
    serial: int,
    now: datetime,
    validity: timedelta,
) -> x509.Certificate:
    """Build a leaf that ends after `validity`, or with its root. Raises `IssuerError`."""
    parent = root.certificate
    not_after = min(now + validity, parent.not_valid_after_utc)
    if not_after <= now:
        raise IssuerError(
            f"the root certificate expired at {parent.not_valid_after_utc.isoformat()}",
            hint="Rotate the root certificate.",
        )
    common_name, alternative_names, usages = _describe(subject)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(parent.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(max(now - BACKDATE, parent.not_valid_before_utc))
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_authority_key_identifier(parent), critical=False)
        .sign(root.key, hashes.SHA256())
    )


def _describe(
    subject: Subject,
) -> tuple[str, list[x509.GeneralName], list[ObjectIdentifier]]:
    """Return common name, subject alternative names and extended key usages."""
    if not is_well_formed(subject if not isinstance(subject, ServerName) else subject.dns_name):
        raise IssuerError(
            f"{subject!r} cannot stand in a certificate",
            hint="Names consist of letters, digits, '-', '_', '.'; trust domains in lower case.",
        )
    match subject:
        case Identity():
            names: list[x509.GeneralName] = [
                x509.UniformResourceIdentifier(subject.spiffe_id),
                x509.DNSName(subject.dns_name),
            ]
            return subject.dns_name, names, [Usage.SERVER_AUTH, Usage.CLIENT_AUTH]
        case ProxyIdentity(identity=who):
            common_name = f"{subject.workload}.sidecar.{who.dns_name}"[:COMMON_NAME_LIMIT]
            return (
                common_name,
                [x509.UniformResourceIdentifier(subject.spiffe_id)],
                [Usage.CLIENT_AUTH],
            )
        case ServerName(dns_name=dns_name):
            return dns_name, [x509.DNSName(dns_name)], [Usage.SERVER_AUTH]


def _name(common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)]
    # A name that is too long is left out: cut, it could be the name of somebody else.
    if len(common_name) <= COMMON_NAME_LIMIT:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(parent: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        # A root that somebody brought along: the identifier that it would have had.
        key = parent.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
