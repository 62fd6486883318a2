"""Tresor: the mesh's own issuer, with its root on disk. OSM's default, under the same name."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import Root, ServerName, Subject, build_leaf, build_root
from osm.errors import IssuerError
from osm.issuers.root_directory import CERTIFICATE, KEY, RootDirectory, open_root_directory
from osm.issuers.root_pem import Place, key_to_pem, parse_key, parse_root, unusable
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
        _check_not_expired(root, _place(files), clock)
        return cls(root, trust_domain=trust_domain, leaf_validity=leaf_validity, clock=clock)

    @classmethod
    def of(
        cls,
        certificate: bytes,
        private_key: bytes,
        place: Place,
        *,
        trust_domain: str,
        leaf_validity: timedelta,
        clock: Clock,
    ) -> Self:
        """Take a root that somebody else keeps, as PEM. Raises `IssuerError`."""
        root = parse_root(certificate, private_key, place)
        _check_not_expired(root, place, clock)
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
            private_key=key_to_pem(key),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )


def _check_not_expired(root: Root, place: Place, clock: Clock) -> None:
    end = root.certificate.not_valid_after_utc
    if end <= clock.now():
        raise IssuerError(
            f"the root certificate {place.certificate} expired at {end.isoformat()}",
            hint=place.hint,
        )


def _create_root(files: RootDirectory, now: datetime) -> Root:
    """Create what is missing. Called when there is no certificate, so nothing was signed yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    if not files.create(KEY, key_to_pem(key), mode=0o600):
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
    place = _place(files)
    key = parse_key(files.read(KEY, private=True) or b"", place)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise unusable(
        place.key, "it has no certificate beside it, and is not a key that we made", place
    )


def _read_root(files: RootDirectory) -> Root | None:
    """Return the root, or None without a certificate. Raises `IssuerError` for what is odd."""
    certificate_pem = files.read(CERTIFICATE, private=False)
    if certificate_pem is None:
        return None
    place = _place(files)
    key_pem = files.read(KEY, private=True)
    if key_pem is None:
        raise unusable(place.certificate, f"its private key {KEY} is missing", place)
    return parse_root(certificate_pem, key_pem, place)


def _place(files: RootDirectory) -> Place:
    return Place(
        str(files.path / CERTIFICATE),
        str(files.path / KEY),
        f"Restore both files from a backup, or move {files.path} away for a new root.",
    )
