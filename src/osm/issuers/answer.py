"""Checks what an issuer answered: the right name, the right key, under the root that we trust."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import ServerName, Subject
from osm.core.pki.trust import Refused, TrustBundle
from osm.errors import IssuerError
from osm.ports import KeyPair


def check_answer(pair: KeyPair, subject: Subject, bundle: bytes, now: datetime) -> None:
    """Raise `IssuerError` when a certificate must not be used for this subject."""
    if pair.not_after <= now:
        raise _refused(subject, "it has already expired")
    try:
        leaf, *others = x509.load_pem_x509_certificates(pair.certificate)
        key = load_pem_private_key(pair.private_key, password=None)
        same = leaf.public_key() == key.public_key()
    except Exception:  # noqa: BLE001 - the library has no common base for these
        # `from None`: the message of the library could quote what it read.
        raise _refused(subject, "it cannot be read") from None
    if not same:
        raise _refused(subject, "it does not belong to its private key")
    if isinstance(subject, ServerName):
        _check_server(subject, leaf, others, bundle, now)
    elif (who := _authenticate(pair, subject, bundle, now)) != subject:
        why = who.text if isinstance(who, Refused) else "it names somebody else"
        raise _refused(subject, why)


def _authenticate(
    pair: KeyPair, subject: Identity | ProxyIdentity, bundle: bytes, now: datetime
) -> Identity | ProxyIdentity | Refused:
    if isinstance(subject, Identity):
        trust = TrustBundle.from_pem(bundle, [subject.trust_domain])
        return trust.authenticate_workload(pair.certificate, now)
    trust = TrustBundle.from_pem(bundle, [subject.identity.trust_domain])
    return trust.authenticate_proxy(pair.certificate, now)


def _check_server(
    subject: ServerName,
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    bundle: bytes,
    now: datetime,
) -> None:
    roots = Store(x509.load_pem_x509_certificates(bundle))
    name = x509.DNSName(subject.dns_name)
    try:
        PolicyBuilder().store(roots).time(now).build_server_verifier(name).verify(leaf, others)
    except VerificationError as error:
        raise _refused(subject, "it is not a server's of that name under a trusted root") from error


def _refused(subject: Subject, why: str) -> IssuerError:
    name = subject.dns_name if isinstance(subject, ServerName) else subject.spiffe_id
    return IssuerError(
        f"the issuer's certificate for {name} was refused: {why}",
        hint="Check the issuer's role, its root and the clocks.",
    )
