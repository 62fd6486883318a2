"""Secrets: a proxy's certificate and the roots that it trusts."""

import msgspec

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2


class CertificateSecret(msgspec.Struct, frozen=True, gc=False):
    """A certificate chain and its key, PEM."""

    name: str
    certificate: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return f"CertificateSecret({self.name!r})"


class TrustSecret(msgspec.Struct, frozen=True, gc=False):
    """The roots to trust, PEM."""

    name: str
    bundle: bytes


def build_certificate_secret(value: CertificateSecret) -> secret_pb2.Secret:
    return secret_pb2.Secret(
        name=value.name,
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_bytes=value.certificate),
            private_key=base_pb2.DataSource(inline_bytes=value.private_key),
        ),
    )


def build_trust_secret(value: TrustSecret) -> secret_pb2.Secret:
    return secret_pb2.Secret(
        name=value.name,
        validation_context=common_pb2.CertificateValidationContext(
            trusted_ca=base_pb2.DataSource(inline_bytes=value.bundle)
        ),
    )
