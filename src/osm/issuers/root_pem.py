"""A root certificate and its key as PEM, from wherever they are kept: files, or a Secret."""

from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from osm.core.pki.certificate import Root, build_root
from osm.errors import IssuerError


class Place(msgspec.Struct, frozen=True):
    """What errors call the two, and what to do about them."""

    certificate: str
    key: str
    hint: str


def create_root(now: datetime) -> tuple[bytes, bytes]:
    """A new root: its certificate and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = build_root(key, serial=x509.random_serial_number(), now=now)
    return certificate.public_bytes(Encoding.PEM), key_to_pem(key)


def parse_root(certificate_pem: bytes, key_pem: bytes, place: Place) -> Root:
    """Read both, and see that they belong together. Raises `IssuerError` for what is odd."""
    certificate = _parse_certificate(certificate_pem, place)
    key = parse_key(key_pem, place)
    if certificate.public_key() != key.public_key():
        raise unusable(
            place.certificate, f"it does not belong to the private key {place.key}", place
        )
    return Root(certificate, key)


def _parse_certificate(pem: bytes, place: Place) -> x509.Certificate:
    try:
        (certificate,) = x509.load_pem_x509_certificates(pem)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(certificate)
    except x509.ExtensionNotFound as error:
        raise unusable(
            place.certificate, "it is not the certificate of an authority", place
        ) from error
    except Exception as error:  # the library has no common base for what a bad file can raise
        raise unusable(
            place.certificate,
            "it must hold exactly one self-signed certificate in PEM form",
            place,
        ) from error
    if not constraints.value.ca:
        raise unusable(place.certificate, "it is not the certificate of an authority", place)
    return certificate


def parse_key(pem: bytes, place: Place) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Read a private key. Raises `IssuerError`."""
    try:
        key = load_pem_private_key(pem, password=None)
    except Exception:  # noqa: BLE001 - as above
        # `from None`, since the library's message is not ours to vouch for: it could quote the key.
        raise unusable(
            place.key, "it must hold an unencrypted private key in PEM form", place
        ) from None
    match key:
        case ec.EllipticCurvePrivateKey():
            return key
        case rsa.RSAPrivateKey(key_size=size) if size >= 2048:
            return key
    raise unusable(
        place.key, "the key must be an elliptic curve key, or RSA of 2048 bits and more", place
    )


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def unusable(what: str, why: str, place: Place) -> IssuerError:
    """An error about one of the two."""
    return IssuerError(f"{what} cannot be used: {why}", hint=place.hint)
