"""Secrets: a proxy's certificate and the roots that it trusts."""

import msgspec

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from osm.core.envoy.tls import any_workload, these_workloads
from osm.core.model.identity import Identity


class CertificateSecret(msgspec.Struct, frozen=True, gc=False):
    """A certificate chain and its key, PEM; both empty when only the proxy itself has them."""

    name: str
    certificate: bytes
    private_key: bytes
    version: str

    def __repr__(self) -> str:
        return f"CertificateSecret({self.name!r})"


class TrustSecret(msgspec.Struct, frozen=True, gc=False):
    """The roots to trust, PEM."""

    name: str
    bundle: bytes


class CallersSecret(msgspec.Struct, frozen=True, gc=False):
    """The roots to trust (PEM), and of whom alone certificates are accepted: `identities`, or every
    workload of the trust domain when there are no rules (`anyone`).
    """

    name: str
    bundle: bytes
    trust_domain: str
    anyone: bool
    identities: tuple[Identity, ...] = ()
    former_proxies: bool = False
    """As `Settings.former_proxies`."""


def build_certificate_secret(value: CertificateSecret) -> secret_pb2.Secret:
    """Build the secret with a certificate and its key."""
    return secret_pb2.Secret(
        name=value.name,
        tls_certificate=common_pb2.TlsCertificate(
            certificate_chain=base_pb2.DataSource(inline_bytes=value.certificate),
            private_key=base_pb2.DataSource(inline_bytes=value.private_key),
        ),
    )


def build_callers_secret(value: CallersSecret) -> secret_pb2.Secret:
    """Build the secret with the roots to trust and the callers to accept."""
    context = common_pb2.CertificateValidationContext(
        trusted_ca=base_pb2.DataSource(inline_bytes=value.bundle)
    )
    former = value.former_proxies
    context.match_typed_subject_alt_names.extend(
        any_workload(value.trust_domain, former_proxies=former)
        if value.anyone
        else these_workloads(value.trust_domain, value.identities, former_proxies=former)
    )
    return secret_pb2.Secret(name=value.name, validation_context=context)


def build_trust_secret(value: TrustSecret) -> secret_pb2.Secret:
    """Build the secret with the roots to trust."""
    return secret_pb2.Secret(
        name=value.name,
        validation_context=common_pb2.CertificateValidationContext(
            trusted_ca=base_pb2.DataSource(inline_bytes=value.bundle)
        ),
    )
