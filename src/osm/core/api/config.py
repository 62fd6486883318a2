"""MeshConfig, the settings of a mesh. v1alpha1 and v1alpha2 have the same meaning and one form.

Defaults are those of OSM's CRD, or Go's zero value where it has none, with one exception: TLS
between proxies is 1.3 unless 1.2 is allowed (OSM: 1.2 and 1.3).
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from osm.core.api import codes
from osm.core.api.duration import parse_duration
from osm.core.api.hosts import Host, Ipv4Range, OptionalHost
from osm.core.api.limits import (
    Between,
    Image,
    Interface,
    Items,
    PositiveDuration,
    Statistic,
    UrlPath,
    clipped,
)
from osm.core.api.metadata import MeshStruct, Metadata
from osm.core.api.problem import Complaint, Path, Problem
from osm.core.api.quantity import parse_quantity
from osm.core.api.scalars import (
    TLS_VERSIONS,
    DnsLabel,
    DnsSubdomain,
    GoDuration,
    NaturalNumber,
    PortNumber,
    TlsVersion,
    checked,
    one_of,
)
from osm.core.model.origin import Severity

_ENVOY_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
_OSM_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "panic", "disabled")
_ENCRYPTIONS = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
CIPHER_SUITES = (
    *(
        f"ECDHE-{key}-{encryption}"
        for key in ("ECDSA", "RSA")
        for encryption in (*_ENCRYPTIONS, "CHACHA20-POLY1305")
    ),
    *_ENCRYPTIONS,
)
"""Of what Envoy 1.40 takes, what needs no shared key and is no 3DES."""
ECDH_CURVES = ("X25519", "P-256", "P-384", "P-521", "X25519MLKEM768")


def check_cipher_suite(value: object) -> Complaint | None:
    """A cipher suite, or several of equal rank: `[A|B]`."""
    text = str(value)
    parts = text[1:-1].split("|") if text.startswith("[") and text.endswith("]") else [text]
    return next((wrong for part in parts if (wrong := one_of(*CIPHER_SUITES)(part))), None)


def check_quantity(value: object) -> Complaint | None:
    """A quantity of a resource that is not negative."""
    try:
        negative = parse_quantity(str(value)) < 0
    except ValueError:
        return Complaint(
            codes.WRONG_TYPE, f"{clipped(value)} is no quantity", "For instance 500m or 128Mi."
        )
    return Complaint(codes.OUT_OF_RANGE, f"{value} is negative") if negative else None


Quantity = Annotated[str | int | float, checked(check_quantity)]
Ranges = Annotated[tuple[Ipv4Range, ...], checked(Items())]
Ports = Annotated[tuple[PortNumber, ...], checked(Items())]


class Resources(MeshStruct, frozen=True):
    """Kubernetes resource requirements of the proxy's container; quantities as written."""

    limits: Mapping[str, Quantity] = {}
    requests: Mapping[str, Quantity] = {}


class SidecarSpec(MeshStruct, frozen=True):
    """How proxies run. `max_data_plane_connections` of 0 or less: no limit."""

    enable_privileged_init_container: bool = False
    log_level: Annotated[str, checked(one_of(*_ENVOY_LEVELS))] = "error"
    max_data_plane_connections: int = 0
    envoy_image: Image = ""
    envoy_windows_image: Image = ""
    init_container_image: Image = ""
    resources: Resources = Resources()
    config_resync_interval: GoDuration = "0s"
    tls_min_protocol_version: TlsVersion = ""
    """TLSv1_3 when it is not given, or the maximum if that is lower."""
    tls_max_protocol_version: TlsVersion = "TLSv1_3"
    cipher_suites: tuple[Annotated[str, checked(check_cipher_suite)], ...] = ()
    ecdh_curves: tuple[Annotated[str, checked(one_of(*ECDH_CURVES))], ...] = ()
    local_proxy_mode: Annotated[str, checked(one_of("Localhost", "PodIP"))] = "Localhost"
    discovery: Annotated[str, checked(one_of("OnDemand", "Eager"))] = "OnDemand"
    """Ours, not OSM's: a proxy learns of a service with its first request, or of all at once."""

    def __post_init__(self) -> None:
        if not self.tls_min_protocol_version:
            highest = self.tls_max_protocol_version
            lowest = highest if highest in TLS_VERSIONS[1:] else "TLSv1_3"
            msgspec.structs.force_setattr(self, "tls_min_protocol_version", lowest)


class ExternalAuthorization(MeshStruct, frozen=True):
    """A gRPC service that is asked about every inbound HTTP request."""

    enable: bool = False
    address: OptionalHost = ""
    port: PortNumber = 0
    stat_prefix: Statistic = "inboundExtAuthz"
    timeout: PositiveDuration = "1s"
    failure_mode_allow: bool = False


class TrafficSpec(MeshStruct, frozen=True):
    """What is intercepted, and the mode of the mesh."""

    enable_egress: bool = False
    enable_permissive_traffic_policy_mode: bool = False
    outbound_ip_range_exclusion_list: Ranges = msgspec.field(
        name="outboundIPRangeExclusionList", default=()
    )
    outbound_ip_range_inclusion_list: Ranges = msgspec.field(
        name="outboundIPRangeInclusionList", default=()
    )
    outbound_port_exclusion_list: Ports = ()
    inbound_port_exclusion_list: Ports = ()
    network_interface_exclusion_list: Annotated[
        tuple[Interface, ...], checked(Items(at_most=100))
    ] = ()
    inbound_external_authorization: ExternalAuthorization = ExternalAuthorization()


class TracingSpec(MeshStruct, frozen=True):
    """Where spans go. An empty address: `jaeger.<mesh's namespace>.svc.cluster.local`."""

    enable: bool = False
    port: Annotated[int, checked(Between(0, 65535))] = 9411
    address: OptionalHost = ""
    endpoint: UrlPath = "/api/v2/spans"

    def __post_init__(self) -> None:
        if not self.port:
            msgspec.structs.force_setattr(self, "port", 9411)


class ObservabilitySpec(MeshStruct, frozen=True):
    """Logs, traces and the debug server of the control plane."""

    osm_log_level: Annotated[str, checked(one_of(*_OSM_LEVELS, ignore_case=True))] = "info"
    enable_debug_server: bool = False
    tracing: TracingSpec = TracingSpec()


class SecretName(MeshStruct, frozen=True):
    """A Secret, by name and namespace."""

    name: DnsSubdomain
    namespace: DnsLabel


class IngressGatewayCertificate(MeshStruct, frozen=True):
    """A client certificate that is written for an ingress gateway. The first name counts."""

    subject_alt_names: Annotated[tuple[Host, ...], checked(Items(1, 100))]
    validity_duration: PositiveDuration
    secret: SecretName


SHORTEST_VALIDITY = 600 * 10**9
"""In nanoseconds."""


class CertificateSpec(MeshStruct, frozen=True):
    """The certificates of workloads. OSM uses at least 10 minutes, and 2048 to 4096 bits."""

    service_cert_validity_duration: PositiveDuration = "24h"
    cert_key_bit_size: NaturalNumber = 2048
    ingress_gateway: IngressGatewayCertificate | None = None


class FeatureFlags(MeshStruct, frozen=True):
    """OSM's switches. Those that have no effect any more are read all the same."""

    enable_wasm_stats: bool = msgspec.field(name="enableWASMStats", default=False)
    enable_egress_policy: bool = False
    enable_multicluster_mode: bool = False
    enable_snapshot_cache_mode: bool = False
    enable_async_proxy_service_mapping: bool = False
    enable_ingress_backend_policy: bool = False
    enable_envoy_active_health_checks: bool = False
    enable_retry_policy: bool = False
    enable_mesh_root_certificate: bool = False


class MeshConfigSpec(MeshStruct, frozen=True):
    """All settings."""

    sidecar: SidecarSpec = SidecarSpec()
    traffic: TrafficSpec = TrafficSpec()
    observability: ObservabilitySpec = ObservabilitySpec()
    certificate: CertificateSpec = CertificateSpec()
    feature_flags: FeatureFlags = FeatureFlags()


class MeshConfig(MeshStruct, frozen=True):
    """config.openservicemesh.io: the one named `osm-mesh-config` counts."""

    metadata: Metadata
    spec: MeshConfigSpec = MeshConfigSpec()


def config_problems(config: MeshConfig) -> Iterator[Problem]:
    """What is wrong with settings that are right one by one."""
    sidecar = config.spec.sidecar
    lowest, highest = sidecar.tls_min_protocol_version, sidecar.tls_max_protocol_version
    if "TLS_AUTO" not in (lowest, highest) and lowest > highest:
        yield Problem(
            ("spec", "sidecar", "tlsMinProtocolVersion"),
            codes.CONTRADICTION,
            f"the lowest TLS version, {lowest}, is above the highest, {highest}",
            "Raise tlsMaxProtocolVersion, or lower tlsMinProtocolVersion.",
        )
    if highest in ("TLSv1_0", "TLSv1_1"):
        yield Problem(
            ("spec", "sidecar", "tlsMaxProtocolVersion"),
            codes.WEAK,
            f"{highest} is broken, and off in current TLS libraries",
            "Allow TLSv1_2 or TLSv1_3.",
            Severity.WARNING,
        )
    authorization = config.spec.traffic.inbound_external_authorization
    if authorization.enable and not (authorization.address and authorization.port):
        yield Problem(
            ("spec", "traffic", "inboundExternalAuthorization", "enable"),
            codes.MISSING,
            "external authorization is on, and `address` or `port` is missing",
            "Name the gRPC service that is to be asked.",
        )
    yield from _certificate_problems(config.spec.certificate, ("spec", "certificate"))
    for index, text in enumerate(config.spec.traffic.outbound_ip_range_exclusion_list):
        if text.endswith("/0"):
            yield Problem(
                ("spec", "traffic", "outboundIPRangeExclusionList", index),
                codes.WEAK,
                f"{text!r} is every address: no call would be part of the mesh",
                "Name the ranges that the mesh must leave alone.",
            )


def _certificate_problems(spec: CertificateSpec, path: Path) -> Iterator[Problem]:
    if parse_duration(spec.service_cert_validity_duration) < SHORTEST_VALIDITY:
        yield Problem(
            (*path, "serviceCertValidityDuration"),
            codes.OUT_OF_RANGE,
            f"{spec.service_cert_validity_duration} is below 10m, which is used instead",
            "Write 10m or more.",
            Severity.WARNING,
        )
    if not 2048 <= spec.cert_key_bit_size <= 4096:
        yield Problem(
            (*path, "certKeyBitSize"),
            codes.OUT_OF_RANGE,
            f"{spec.cert_key_bit_size} is not in 2048 to 4096; 2048 is used instead",
            severity=Severity.WARNING,
        )


def with_off_as_text(document: dict[str, object]) -> dict[str, object]:
    """Undo what YAML 1.1 does to `logLevel: off`, which it reads as false."""
    spec = document.get("spec")
    sidecar = spec.get("sidecar") if isinstance(spec, dict) else None
    if isinstance(spec, dict) and isinstance(sidecar, dict) and sidecar.get("logLevel") is False:
        return document | {"spec": spec | {"sidecar": sidecar | {"logLevel": "off"}}}
    return document
