"""Tresor: the mesh's own issuer, with its root on disk. OSM's default, under the same name."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import Root, ServerName, Subject, build_leaf, build_root
from osm.errors import IssuerError
from osm.issuers.root_directory import CERTIFICATE, KEY, RootDirectory, open_root_directory
from osm.ports import Clock, KeyPair

BOOTSTRAP_VALIDITY = timedelta(hours=24)
"""A stolen bootstrap certificate is of use for a day at most."""

SERVER_VALIDITY = timedelta(days=30)


class Tresor:
    """Signs with a root that it owns. Implements `osm.ports.Issuer`."""

    def __init__(
        self, root: Root, *, trust_domain: str, leaf_validity: timedelta, clock: Clock
    ) -> None:
        self._root = root
        self._trust_domain = trust_domain
        self.leaf_validity = leaf_validity
        self._clock = clock
        self._bundle = root.certificate.public_bytes(Encoding.PEM)

    @classmethod
    def open(
        cls, directory: Path, *, trust_domain: str, leaf_validity: timedelta, clock: Clock
    ) -> Self:
        """Read the root in a directory, or create it. Raises `IssuerError`; never overwrites.

        Processes that do this at the same moment end up with the same root.
        """
        with open_root_directory(directory) as files:
            files.sweep(clock.now().timestamp())
            root = _read_root(files) or _create_root(files, clock.now())
        if root.certificate.not_valid_after_utc <= clock.now():
            raise IssuerError(
                f"the root certificate {directory / CERTIFICATE} expired at "
                f"{root.certificate.not_valid_after_utc.isoformat()}",
                hint=f"Move {directory} away and start again: every workload gets a new leaf.",
            )
        return cls(root, trust_domain=trust_domain, leaf_validity=leaf_validity, clock=clock)

    @property
    def trust_bundle(self) -> bytes:
        return self._bundle

    @property
    def root_expires(self) -> datetime:
        """When the root ends, and every leaf with it."""
        return self._root.certificate.not_valid_after_utc

    async def issue(self, who: Identity | ProxyIdentity) -> KeyPair:
        """Sign for a workload or a proxy of our trust domain. Raises `IssuerError`."""
        identity = who if isinstance(who, Identity) else who.identity
        if identity.trust_domain != self._trust_domain:
            raise IssuerError(
                f"{identity.short} is of trust domain {identity.trust_domain!r}, "
                f"and this issuer signs for {self._trust_domain!r}",
                hint="Ask the issuer of that trust domain.",
            )
        return self._sign(who, self.leaf_validity if identity is who else BOOTSTRAP_VALIDITY)

    async def issue_server(self, dns_name: str) -> KeyPair:
        return self._sign(ServerName(dns_name), SERVER_VALIDITY)

    def _sign(self, subject: Subject, validity: timedelta) -> KeyPair:
        # Key and signature take 0.1 ms, less than handing the work to a thread.
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = build_leaf(
            self._root,
            subject,
            key.public_key(),
            serial=x509.random_serial_number(),
            now=self._clock.now(),
            validity=validity,
        )
        return KeyPair(
            certificate=certificate.public_bytes(Encoding.PEM),
            private_key=_key_to_pem(key),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )


def _create_root(files: RootDirectory, now: datetime) -> Root:
    """Create what is missing. Called when there is no certificate, so nothing was signed yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    if not files.create(KEY, _key_to_pem(key), mode=0o600):
        key = _read_own_key(files)
    certificate = build_root(key, serial=x509.random_serial_number(), now=now)
    files.create(CERTIFICATE, certificate.public_bytes(Encoding.PEM), mode=0o644)
    root = _read_root(files)  # perhaps another process's certificate for the same key
    if root is None:
        raise IssuerError(
            f"{files.path / CERTIFICATE} vanished while it was created", hint="Start again."
        )
    return root


def _read_own_key(files: RootDirectory) -> ec.EllipticCurvePrivateKey:
    key = _parse_key(files, files.read(KEY, private=True) or b"")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise _unusable(files, KEY, "it has no certificate beside it, and is not a key that we made")


def _read_root(files: RootDirectory) -> Root | None:
    """Return the root, or None without a certificate. Raises `IssuerError` for what is odd."""
    certificate_pem = files.read(CERTIFICATE, private=False)
    if certificate_pem is None:
        return None
    key_pem = files.read(KEY, private=True)
    if key_pem is None:
        raise _unusable(files, CERTIFICATE, f"its private key {KEY} is missing")
    certificate = _parse_certificate(files, certificate_pem)
    key = _parse_key(files, key_pem)
    if certificate.public_key() != key.public_key():
        raise _unusable(files, CERTIFICATE, f"it does not belong to the private key {KEY}")
    return Root(certificate, key)


def _parse_certificate(files: RootDirectory, pem: bytes) -> x509.Certificate:
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(certificate)
    except x509.ExtensionNotFound as error:
        raise _unusable(files, CERTIFICATE, "it is not the certificate of an authority") from error
    except Exception as error:  # the library has no common base for what a bad file can raise
        raise _unusable(
            files, CERTIFICATE, "it must hold exactly one self-signed certificate in PEM form"
        ) from error
    if not constraints.value.ca:
        raise _unusable(files, CERTIFICATE, "it is not the certificate of an authority")
    return certificate


def _parse_key(files: RootDirectory, pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except Exception:  # noqa: BLE001 - as above
        # `from None`, since the library's message is not ours to vouch for: it could quote the key.
        raise _unusable(files, KEY, "it must hold an unencrypted private key in PEM form") from None
    match key:
        case ec.EllipticCurvePrivateKey():
            return key
        case rsa.RSAPrivateKey(key_size=size) if size >= 2048:
            return key
    raise _unusable(
        files, KEY, "the key must be an elliptic curve key, or RSA of 2048 bits and more"
    )


def _key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unusable(files: RootDirectory, name: str, why: str) -> IssuerError:
    return IssuerError(
        f"{files.path / name} cannot be used: {why}",
        hint=f"Restore both files from a backup, or move {files.path} away for a new root.",
    )
