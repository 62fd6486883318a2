"""MeshConfig, the settings of a mesh. v1alpha1 and v1alpha2 have the same meaning and one form.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).

Defaults are those of OSM's CRD, or Go's zero value where it has none, with one exception: TLS
between proxies is 1.3 unless 1.2 is allowed (OSM: 1.2 and 1.3).
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from osm.core.api import codes
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
from osm.core.api.problem import Complaint
from osm.core.api.quantity import parse_quantity
from osm.core.api.scalars import (
    TLS_VERSIONS,
    DnsLabel,
    DnsSubdomain,
    GoDuration,
    NaturalNumber,
    OptionalTlsVersion,
    PortNumber,
    TlsVersion,
    checked,
    one_of,
)

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
OptionalPort = Annotated[int, checked(Between(0, 65535))]
"""0: none is given."""
Ports = Annotated[tuple[PortNumber, ...], checked(Items())]


class Resources(MeshStruct, frozen=True):
    """Kubernetes resource requirements of the proxy's container; quantities as written.

    limits: Most that the container may use, such as `cpu: 500m`.
    requests: What the container is promised.
    """

    limits: Mapping[str, Quantity] = {}
    requests: Mapping[str, Quantity] = {}


class SidecarSpec(MeshStruct, frozen=True):
    """How proxies run.

    enable_privileged_init_container: Whether the init container runs privileged.
    log_level: Envoy's log level.
    max_data_plane_connections: How many proxies one controller serves; 0 or less is no limit.
    envoy_image: Image of the proxy. Empty: the one of this release.
    envoy_windows_image: Image of the proxy on Windows, where nothing of ours runs.
    init_container_image: Image of the init container. Empty: the one of this release.
    resources: Resources of the proxy's container.
    config_resync_interval: How often OSM sent everything again. Here nothing needs to be.
    tls_min_protocol_version: Lowest TLS version between proxies. Empty: TLSv1_3, or the highest one
        if that is lower.
    tls_max_protocol_version: Highest TLS version between proxies.
    cipher_suites: Cipher suites of TLS 1.2. Empty: Envoy's own choice.
    ecdh_curves: Curves of the key exchange. Empty: Envoy's own choice.
    local_proxy_mode: Whether the proxy calls its application at 127.0.0.1 or at the pod's address.
    discovery: Whether a proxy learns of a service with its first request, or of all at once. OSM had
        no such field.
    """

    enable_privileged_init_container: bool = False
    log_level: Annotated[str, checked(one_of(*_ENVOY_LEVELS))] = "error"
    max_data_plane_connections: int = 0
    envoy_image: Image = ""
    envoy_windows_image: Image = ""
    init_container_image: Image = ""
    resources: Resources = Resources()
    config_resync_interval: GoDuration = "0s"
    tls_min_protocol_version: OptionalTlsVersion = ""
    tls_max_protocol_version: TlsVersion = "TLSv1_3"
    cipher_suites: tuple[Annotated[str, checked(check_cipher_suite)], ...] = ()
    ecdh_curves: tuple[Annotated[str, checked(one_of(*ECDH_CURVES))], ...] = ()
    local_proxy_mode: Annotated[str, checked(one_of("Localhost", "PodIP"))] = "Localhost"
    discovery: Annotated[str, checked(one_of("OnDemand", "Eager"))] = "OnDemand"

    @property
    def lowest_tls_version(self) -> str:
        """Between proxies, also when nothing is written."""
        if self.tls_min_protocol_version:
            return self.tls_min_protocol_version
        highest = self.tls_max_protocol_version
        return highest if highest in TLS_VERSIONS[1:] else "TLSv1_3"


class ExternalAuthorization(MeshStruct, frozen=True):
    """A gRPC service that is asked about every inbound HTTP request.

    enable: Whether it is asked.
    address: Host of the service.
    port: Port of the service.
    stat_prefix: Prefix of the statistics in Envoy.
    timeout: How long the service may take.
    failure_mode_allow: Whether requests are let in when it does not answer.
    """

    enable: bool = False
    address: OptionalHost = ""
    port: OptionalPort = 0
    stat_prefix: Statistic = "inboundExtAuthz"
    timeout: PositiveDuration = "1s"
    failure_mode_allow: bool = False


class TrafficSpec(MeshStruct, frozen=True):
    """What is intercepted, and the mode of the mesh.

    enable_egress: Whether every workload may call everything beyond the mesh.
    enable_permissive_traffic_policy_mode: Whether every workload may call every other one.
    outbound_ip_range_exclusion_list: IPv4 ranges to which calls bypass the proxy.
    outbound_ip_range_inclusion_list: If there are any, only calls to these IPv4 ranges are
        intercepted.
    outbound_port_exclusion_list: Ports to which calls bypass the proxy.
    inbound_port_exclusion_list: Ports at which calls bypass the proxy.
    network_interface_exclusion_list: Network interfaces that the proxy leaves alone.
    inbound_external_authorization: A service that is asked about every inbound request.
    """

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
    """Where spans go.

    enable: Whether proxies send spans.
    port: Port of the collector.
    address: Host of the collector. Empty: `jaeger` in the namespace of the mesh.
    endpoint: Path of the collector's API (Zipkin v2).
    """

    enable: bool = False
    port: OptionalPort = 9411
    address: OptionalHost = ""
    endpoint: UrlPath = "/api/v2/spans"

    def __post_init__(self) -> None:
        if not self.port:
            msgspec.structs.force_setattr(self, "port", 9411)


class ObservabilitySpec(MeshStruct, frozen=True):
    """Logs, traces and the debug server of the control plane.

    osm_log_level: Log level of the control plane: trace, debug, info, warn, error, fatal, panic or
        disabled.
    enable_debug_server: Whether the control plane answers on its debug port.
    tracing: Where proxies send spans.
    """

    osm_log_level: Annotated[str, checked(one_of(*_OSM_LEVELS, ignore_case=True))] = "info"
    enable_debug_server: bool = False
    tracing: TracingSpec = TracingSpec()


class SecretName(MeshStruct, frozen=True):
    """A Secret, by name and namespace.

    name: Name of the Secret.
    namespace: Namespace of the Secret.
    """

    name: DnsSubdomain
    namespace: DnsLabel


class IngressGatewayCertificate(MeshStruct, frozen=True):
    """A client certificate that is written for an ingress gateway. The first name counts.

    subject_alt_names: Names that the certificate shows. The first one counts.
    validity_duration: How long it is valid.
    secret: Secret that it is written to.
    """

    subject_alt_names: Annotated[tuple[Host, ...], checked(Items(1, 100))]
    validity_duration: PositiveDuration
    secret: SecretName


class CertificateSpec(MeshStruct, frozen=True):
    """The certificates of workloads. OSM uses at least 10 minutes, and 2048 to 4096 bits.

    service_cert_validity_duration: How long the certificates of workloads are valid; 10m or more.
    cert_key_bit_size: Size of RSA keys, 2048 to 4096.
    ingress_gateway: A certificate for an ingress gateway.
    """

    service_cert_validity_duration: PositiveDuration = "24h"
    cert_key_bit_size: NaturalNumber = 2048
    ingress_gateway: IngressGatewayCertificate | None = None


class FeatureFlags(MeshStruct, frozen=True):
    """OSM's switches. Those that have no effect any more are read all the same.

    enable_wasm_stats: OSM's statistics. Ours are always on.
    enable_egress_policy: Has no effect: Egress always counts.
    enable_multicluster_mode: Has no effect, as in OSM v1.2.
    enable_snapshot_cache_mode: Has no effect.
    enable_async_proxy_service_mapping: Has no effect.
    enable_ingress_backend_policy: Has no effect: IngressBackend always counts.
    enable_envoy_active_health_checks: Whether proxies check each other.
    enable_retry_policy: Whether Retry counts.
    enable_mesh_root_certificate: Whether MeshRootCertificate counts.
    """

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
    """All settings.

    sidecar: How proxies run.
    traffic: What is intercepted, and the mode of the mesh.
    observability: Logs, traces and the debug server.
    certificate: Certificates of workloads and of a gateway.
    feature_flags: OSM's switches.
    """

    sidecar: SidecarSpec = SidecarSpec()
    traffic: TrafficSpec = TrafficSpec()
    observability: ObservabilitySpec = ObservabilitySpec()
    certificate: CertificateSpec = CertificateSpec()
    feature_flags: FeatureFlags = FeatureFlags()


class MeshConfig(MeshStruct, frozen=True):
    """config.openservicemesh.io: the one named `osm-mesh-config` counts.

    spec: All settings.
    """

    metadata: Metadata
    spec: MeshConfigSpec = MeshConfigSpec()
