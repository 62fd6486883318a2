"""Certificates and client configurations of a test cluster: made anew for each, valid for a day."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=1)


class Authority:
    """Signs; its certificate is `<name>.crt` in the directory, its key `<name>.key`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(Encoding.PEM)
        _write(directory, name, self.pem, self._key)

    def issue(
        self,
        file: str,
        common_name: str,
        *,
        groups: Sequence[str] = (),
        hosts: Sequence[str] = (),
    ) -> None:
        """Write `<file>.crt` and `<file>.key`: a server's for `hosts`, without any a client's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(subject, self._name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        _write(self.directory, file, certificate.public_bytes(Encoding.PEM), key)


def write_signing_key(directory: Path, file: str) -> None:
    """The pair with which tokens of service accounts are signed: `<file>.key` and `<file>.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    (directory / f"{file}.key").write_bytes(_private(key))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / f"{file}.pub").write_bytes(public)


def write_kubeconfig(directory: Path, file: str, server: str, authority: Authority) -> Path:
    """The client configuration of whoever has the certificate `<file>`."""
    path = directory / f"{file}.kubeconfig"
    user = {
        "client-certificate-data": _base64((directory / f"{file}.crt").read_bytes()),
        "client-key-data": _base64((directory / f"{file}.key").read_bytes()),
    }
    cluster = {"server": server, "certificate-authority-data": _base64(authority.pem)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": file, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": file}}],
    }
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _write(directory: Path, file: str, pem: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    (directory / f"{file}.crt").write_bytes(pem)
    (directory / f"{file}.key").write_bytes(_private(key))
    (directory / f"{file}.key").chmod(0o600)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
