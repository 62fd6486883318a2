"""Whom a presented certificate names, if it is to be believed; and why not otherwise.

A server of the control plane asks this of every client. TLS has checked the chain already in most
cases; it is checked again here, since one mistake there would hand out somebody's identity.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Self

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.spiffe import parse_spiffe_id
from osm.errors import IssuerError

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
CHAIN_LIMIT = 8
SIZE_LIMIT = 64 * 1024


class Reason(StrEnum):
    """Why a certificate was refused. Short and fixed, so that a metric can count by it."""

    NONE = "none presented"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    IS_AUTHORITY = "is an authority"
    WRONG_USAGE = "wrong key usage"
    WEAK = "weak key or signature"
    NAMES = "wrong names"
    TRUST_DOMAIN = "other trust domain"
    WRONG_KIND = "wrong kind of identity"
    UNTRUSTED = "not signed by a trusted root"


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Why a certificate is not believed. `text` is for people, and quotes nothing from it."""

    reason: Reason
    text: str


class TrustBundle:
    """The roots and trust domains that are believed. Make one per change of them, and keep it."""

    def __init__(self, roots: Iterable[x509.Certificate], trust_domains: Iterable[str]) -> None:
        self.roots = tuple(roots)
        self.trust_domains = frozenset(trust_domains)
        if not self.roots:
            raise IssuerError(
                "the trust bundle is empty", hint="Give at least one root certificate."
            )
        self._store = Store(list(self.roots))

    @classmethod
    def from_pem(cls, bundle: bytes, trust_domains: Iterable[str]) -> Self:
        """Read a bundle. Raises `IssuerError` when it has no certificate, or a broken one."""
        try:
            return cls(x509.load_pem_x509_certificates(bundle), trust_domains)
        except ValueError as error:
            raise IssuerError(
                f"the trust bundle cannot be read: {error}",
                hint="It must hold one or more certificates in PEM form.",
            ) from error

    def authenticate_workload(self, presented: bytes, now: datetime) -> Identity | Refused:
        """Whom a workload's chain (PEM, leaf first) names."""
        who = self._authenticate(presented, now)
        if isinstance(who, ProxyIdentity):
            return Refused(Reason.WRONG_KIND, "a proxy's bootstrap certificate is no workload's")
        return who

    def authenticate_proxy(self, presented: bytes, now: datetime) -> ProxyIdentity | Refused:
        """Which proxy a bootstrap chain (PEM, leaf first) names. A workload's is refused."""
        who = self._authenticate(presented, now)
        if isinstance(who, Identity):
            return Refused(Reason.WRONG_KIND, "a workload's certificate does not open this door")
        return who

    def _authenticate(self, presented: bytes, now: datetime) -> Identity | ProxyIdentity | Refused:
        if not presented:
            return Refused(Reason.NONE, "no certificate was presented")
        if len(presented) > SIZE_LIMIT:
            return Refused(Reason.MALFORMED, "the certificate chain is too long")
        try:
            leaf, *others = x509.load_pem_x509_certificates(presented)
            if len(others) >= CHAIN_LIMIT:
                return Refused(Reason.MALFORMED, "the certificate chain is too long")
            return (
                _look_at(leaf, now)
                or self._verify(leaf, others, now)
                or _read_names(leaf, self.trust_domains)
            )
        except _UNREADABLE:
            return Refused(Reason.MALFORMED, "the certificate cannot be read")

    def _verify(
        self, leaf: x509.Certificate, others: list[x509.Certificate], now: datetime
    ) -> Refused | None:
        verifier = PolicyBuilder().store(self._store).time(now).build_client_verifier()
        try:
            verifier.verify(leaf, others)
        except VerificationError:
            return Refused(Reason.UNTRUSTED, "no valid chain leads to a root that is trusted")
        return None


def _look_at(leaf: x509.Certificate, now: datetime) -> Refused | None:
    """What can be said of the leaf alone, for a better answer than verification gives."""
    if now < leaf.not_valid_before_utc:
        return Refused(Reason.NOT_YET_VALID, "the certificate is not valid yet; compare the clocks")
    if now > leaf.not_valid_after_utc:
        return Refused(Reason.EXPIRED, "the certificate has expired")
    match leaf.public_key():
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1() | ec.SECP521R1()):
            pass
        case rsa.RSAPublicKey(key_size=size) if size >= 2048:
            pass
        case _:
            return Refused(Reason.WEAK, "the key is too weak, or of a kind that is not accepted")
    if not isinstance(leaf.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        return Refused(Reason.WEAK, "the signature's hash is too weak")
    try:
        if leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return Refused(Reason.IS_AUTHORITY, "an authority's certificate names nobody")
        extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return Refused(Reason.WRONG_USAGE, "the certificate does not say what it is for")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in extended or not usage.digital_signature:
        return Refused(Reason.WRONG_USAGE, "the certificate is not for clients")
    return None


def _read_names(
    leaf: x509.Certificate, trust_domains: frozenset[str]
) -> Identity | ProxyIdentity | Refused:
    """Exactly one URI, in our form; and nothing else that could be taken for another name."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Refused(Reason.NAMES, "the certificate has no subject alternative name")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    dns_names = names.get_values_for_type(x509.DNSName)
    if len(uris) != 1 or len(uris) + len(dns_names) != len(list(names)):
        return Refused(Reason.NAMES, "the certificate must have exactly one URI, and it has others")
    who = parse_spiffe_id(uris[0])
    if who is None:
        return Refused(
            Reason.NAMES, "the certificate's URI has not the form of the mesh's identities"
        )
    trust_domain = who.trust_domain if isinstance(who, Identity) else who.identity.trust_domain
    if trust_domain not in trust_domains:
        return Refused(Reason.TRUST_DOMAIN, "the certificate is of another trust domain")
    allowed = {who.dns_name} if isinstance(who, Identity) else set[str]()
    if not allowed.issuperset(dns_names):
        return Refused(Reason.NAMES, "the certificate's DNS names are not those of its identity")
    common_names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if isinstance(who, Identity) and not allowed.issuperset(name.value for name in common_names):
        return Refused(Reason.NAMES, "the certificate's common name is not that of its identity")
    return who
