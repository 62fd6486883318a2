"""Transport sockets: mutual TLS between proxies, and towards the control plane."""

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue

from osm._envoy.envoy.config.core.v3 import base_pb2, config_source_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import (
    common_pb2,
    secret_pb2,
    tls_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import regex_pb2, string_pb2
from osm.core.envoy.former import former_name, former_names
from osm.core.envoy.matching import quote
from osm.core.envoy.names import ROOT_CERTIFICATES, SERVICE_CERTIFICATE
from osm.core.model.identity import Identity
from osm.core.model.mesh import Settings

_VERSIONS = {
    "TLS_AUTO": common_pb2.TlsParameters.TLS_AUTO,
    "TLSv1_0": common_pb2.TlsParameters.TLSv1_0,
    "TLSv1_1": common_pb2.TlsParameters.TLSv1_1,
    "TLSv1_2": common_pb2.TlsParameters.TLSv1_2,
    "TLSv1_3": common_pb2.TlsParameters.TLSv1_3,
}


class TlsSettings(msgspec.Struct, frozen=True, order=True, gc=False):
    """What proxies may negotiate with each other."""

    trust_domain: str
    minimum: str
    maximum: str
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    ingress_minimum: str = "TLSv1_2"
    former_proxies: bool = False
    """As `Settings.former_proxies`."""

    @classmethod
    def of(cls, settings: Settings) -> "TlsSettings":
        return cls(
            settings.trust_domain,
            settings.tls_minimum,
            settings.tls_maximum,
            settings.cipher_suites,
            settings.ecdh_curves,
            settings.ingress_tls_minimum,
            settings.former_proxies,
        )

    @property
    def for_outside(self) -> "TlsSettings":
        """What callers from outside of the mesh may negotiate."""
        return msgspec.structs.replace(self, minimum=self.ingress_minimum)


def ads_source() -> config_source_pb2.ConfigSource:
    """Configuration that comes over the proxy's one stream. No time limit: a listener without its
    certificates or routes must not open.
    """
    source = config_source_pb2.ConfigSource(
        resource_api_version=config_source_pb2.ApiVersion.V3, initial_fetch_timeout=Duration()
    )
    source.ads.SetInParent()
    return source


def upstream_tls(
    tls: TlsSettings, *, sni: str, identities: tuple[Identity, ...], alpn: tuple[str, ...]
) -> base_pb2.TransportSocket:
    """Present our certificate; accept the service's identities and no other."""
    accepted = these_workloads(tls.trust_domain, identities, former_proxies=tls.former_proxies)
    context = tls_pb2.UpstreamTlsContext(
        sni=sni, common_tls_context=_common(tls, accepted, alpn, ROOT_CERTIFICATES)
    )
    return _socket(context)


def downstream_tls(
    tls: TlsSettings, *, alpn: tuple[str, ...], callers: str = "", anyone: bool = False
) -> base_pb2.TransportSocket:
    """Demand a certificate: of any workload of this trust domain, for access rules to decide later
    who may do what; with `callers`, the name of a `CallersSecret`, of those alone; or with `anyone`
    any that our roots have signed.
    """
    accepted = (
        ()
        if callers or anyone
        else any_workload(tls.trust_domain, former_proxies=tls.former_proxies)
    )
    context = tls_pb2.DownstreamTlsContext(
        require_client_certificate=BoolValue(value=True),
        common_tls_context=_common(tls, accepted, alpn, callers or ROOT_CERTIFICATES),
    )
    return _socket(context)


def server_tls(tls: TlsSettings, *, alpn: tuple[str, ...]) -> base_pb2.TransportSocket:
    """Show our certificate, and ask for none."""
    common = _common(tls, (), alpn, ROOT_CERTIFICATES)
    common.ClearField("combined_validation_context")
    return _socket(tls_pb2.DownstreamTlsContext(common_tls_context=common))


def any_workload(
    trust_domain: str, *, former_proxies: bool
) -> tuple[common_pb2.SubjectAltNameMatcher, ...]:
    """Fit every workload of a trust domain, and no proxy's bootstrap certificate."""
    uri = _uri(string_pb2.StringMatcher(prefix=f"spiffe://{trust_domain}/ns/"))
    return (uri, _dns(former_names(trust_domain))) if former_proxies else (uri,)


def these_workloads(
    trust_domain: str, identities: tuple[Identity, ...], *, former_proxies: bool
) -> tuple[common_pb2.SubjectAltNameMatcher, ...]:
    """Fit these identities and no other. Never empty: without a matcher Envoy accepts every
    certificate of the mesh, and one that nobody has closes it.
    """
    uris = tuple(i.spiffe_id for i in identities) or (f"spiffe://{trust_domain}/nobody",)
    names = filter(None, map(former_name, identities)) if former_proxies else ()
    return (
        *(_uri(string_pb2.StringMatcher(exact=uri)) for uri in uris),
        *(_dns(quote(name)) for name in names),
    )


def _dns(regex: str) -> common_pb2.SubjectAltNameMatcher:
    """Always a regex, which is compared with what is written in the certificate. By `exact` a wildcard
    there fits every name that it stands for, in any case (seen with Envoy 1.40).
    """
    return common_pb2.SubjectAltNameMatcher(
        san_type=common_pb2.SubjectAltNameMatcher.DNS,
        matcher=string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=regex)),
    )


def _uri(matcher: string_pb2.StringMatcher) -> common_pb2.SubjectAltNameMatcher:
    return common_pb2.SubjectAltNameMatcher(
        san_type=common_pb2.SubjectAltNameMatcher.URI, matcher=matcher
    )


def _common(
    tls: TlsSettings,
    accepted: tuple[common_pb2.SubjectAltNameMatcher, ...],
    alpn: tuple[str, ...],
    trust: str,
) -> tls_pb2.CommonTlsContext:
    return tls_pb2.CommonTlsContext(
        tls_params=common_pb2.TlsParameters(
            tls_minimum_protocol_version=_VERSIONS[tls.minimum],
            # Envoy's default for upstream connections is 1.2 (measured): always said.
            tls_maximum_protocol_version=_VERSIONS[tls.maximum],
            cipher_suites=tls.cipher_suites,
            ecdh_curves=tls.ecdh_curves,
        ),
        alpn_protocols=alpn,
        tls_certificate_sds_secret_configs=[_sds(SERVICE_CERTIFICATE)],
        combined_validation_context=tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
            default_validation_context=common_pb2.CertificateValidationContext(
                match_typed_subject_alt_names=accepted
            ),
            validation_context_sds_secret_config=_sds(trust),
        ),
    )


def _sds(name: str) -> secret_pb2.SdsSecretConfig:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads_source())


def _socket(
    context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext,
) -> base_pb2.TransportSocket:
    socket = base_pb2.TransportSocket(name="envoy.transport_sockets.tls")
    socket.typed_config.Pack(context, deterministic=True)
    return socket
