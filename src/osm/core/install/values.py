"""The values of an installation: OSM's names and defaults (`reference/osm.md` §4).

A line `field: …` in a docstring is the comment of `values.yaml`. What has a meaning here is in this
file; OSM's other values are in `former_values`, and are read with a remark.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from osm.core.install.affinity import AFFINITY
from osm.core.install.names import CA_SECRET

Names = Mapping[str, object]
"""A part of an object of Kubernetes, as written."""
Quantities = Mapping[str, str | int | float]
Count = Annotated[int, msgspec.Meta(ge=1, le=100)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Range = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$")]


class ValuesStruct(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Fields are written in camelCase; one that nobody knows is a mistake."""


class ImageNames(ValuesStruct, frozen=True):
    """Names of the images.

    osm_controller: The control plane.
    osm_sidecar: The proxy.
    osm_sidecar_init: What redirects traffic when a pod starts.
    """

    osm_controller: str = "osm-controller"
    osm_sidecar: str = "osm-envoy"
    osm_sidecar_init: str = "osm-init"


class Image(ValuesStruct, frozen=True):
    """Where images come from.

    registry: Registry, and the path in it.
    tag: Tag of all images. Empty: the version of `osm`, or of the chart.
    pull_policy: Always, IfNotPresent or Never.
    name: Names of the images.
    """

    registry: str = "openservicemesh"
    tag: str = ""
    pull_policy: Annotated[str, msgspec.Meta(pattern=r"^(Always|IfNotPresent|Never)$")] = (
        "IfNotPresent"
    )
    name: ImageNames = ImageNames()


class Utilization(ValuesStruct, frozen=True):
    """A goal of the autoscaler.

    target_average_utilization: Percent of what the container requests.
    """

    target_average_utilization: Percent = 80


class AutoScale(ValuesStruct, frozen=True):
    """A HorizontalPodAutoscaler.

    enable: Whether there is one. Then `replicaCount` has no effect.
    min_replicas: Fewest replicas.
    max_replicas: Most replicas.
    cpu: When there is too much work.
    memory: When there is too little memory.
    """

    enable: bool = False
    min_replicas: Count = 1
    max_replicas: Count = 5
    cpu: Utilization = Utilization()
    memory: Utilization = Utilization()


class Resource(ValuesStruct, frozen=True):
    """What the container may use, and what it is promised.

    limits: Most that it may use.
    requests: What it is promised.
    """

    limits: Quantities = msgspec.field(default_factory=lambda: {"cpu": "1.5", "memory": "1G"})
    requests: Quantities = msgspec.field(default_factory=lambda: {"cpu": "0.5", "memory": "128M"})


class Controller(ValuesStruct, frozen=True):
    """The Deployment of the control plane.

    replica_count: How many replicas serve together.
    resource: Resources of the container.
    pod_labels: More labels of its pods.
    enable_pod_disruption_budget: Whether at most one replica at a time is drained.
    auto_scale: A HorizontalPodAutoscaler.
    affinity: Where its pods run.
    node_selector: Labels of the nodes on which its pods run.
    tolerations: Taints that its pods bear, beside `controlPlaneTolerations`.
    """

    replica_count: Count = 1
    resource: Resource = Resource()
    pod_labels: Mapping[str, str] = {}
    enable_pod_disruption_budget: bool = False
    auto_scale: AutoScale = AutoScale()
    affinity: Names = msgspec.field(default_factory=lambda: AFFINITY)
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Names, ...] = ()


class Injector(ValuesStruct, frozen=True):
    """The webhook that adds proxies to pods.

    webhook_timeout_seconds: How long the API server waits for it. OSM: 20.
    """

    webhook_timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=30)] = 5


class CertificateProvider(ValuesStruct, frozen=True):
    """Who issues certificates.

    kind: tresor. OSM's others, vault and cert-manager, come later.
    service_cert_validity_duration: How long certificates of workloads are valid.
    cert_key_bit_size: Size of RSA keys.
    """

    kind: Annotated[str, msgspec.Meta(pattern=r"^tresor$")] = "tresor"
    service_cert_validity_duration: str = "24h"
    cert_key_bit_size: Annotated[int, msgspec.Meta(ge=2048, le=4096)] = 2048


class Tracing(ValuesStruct, frozen=True):
    """Where proxies send spans.

    enable: Whether they send any.
    address: Host of the collector. Empty: `jaeger` in the namespace of the control plane.
    port: Port of the collector.
    endpoint: Path of the collector's API (Zipkin v2).
    """

    enable: bool = False
    address: str = ""
    port: Port = 9411
    endpoint: str = "/api/v2/spans"


class FeatureFlags(ValuesStruct, frozen=True):
    """OSM's switches, for MeshConfig.

    enable_wasm_stats: Has no effect: statistics are always on.
    enable_egress_policy: Has no effect: Egress always counts.
    enable_async_proxy_service_mapping: Has no effect.
    enable_ingress_backend_policy: Has no effect: IngressBackend always counts.
    enable_envoy_active_health_checks: Whether proxies check each other.
    enable_snapshot_cache_mode: Has no effect.
    enable_retry_policy: Whether Retry counts.
    enable_mesh_root_certificate: Whether MeshRootCertificate counts.
    """

    enable_wasm_stats: bool = msgspec.field(name="enableWASMStats", default=True)
    enable_egress_policy: bool = True
    enable_async_proxy_service_mapping: bool = False
    enable_ingress_backend_policy: bool = True
    enable_envoy_active_health_checks: bool = False
    enable_snapshot_cache_mode: bool = False
    enable_retry_policy: bool = False
    enable_mesh_root_certificate: bool = False


_ENVOY_LEVEL = r"^(trace|debug|info|warning|warn|error|critical|off)$"
_OSM_LEVEL = r"^(trace|debug|info|warn|error|fatal|panic|disabled)$"


class Osm(ValuesStruct, frozen=True):
    """Everything below `osm`.

    mesh_name: Name of the mesh.
    osm_namespace: Namespace of the control plane. Empty: the release's.
    former_mesh_name: Mesh of OSM v1 in the same cluster that this one takes over from, namespace by
        namespace. Empty: none. Its proxies are trusted as long as it is named.
    enforce_single_mesh: Whether this is to be the only mesh of the cluster.
    trust_domain: Trust domain of the mesh's identities.
    image: Where images come from.
    image_pull_secrets: Secrets with which images are pulled.
    sidecar_image: Image of the proxy. Empty: made of `image`.
    osm_controller: The Deployment of the control plane.
    injector: The webhook that adds proxies to pods.
    control_plane_tolerations: Taints that pods of the control plane bear.
    ca_bundle_secret_name: Secret with the mesh's root certificate; it is made if there is none.
    certificate_provider: Who issues certificates.
    enable_permissive_traffic_policy: Whether every workload may call every other one.
    enable_egress: Whether every workload may call everything beyond the mesh.
    enable_debug_server: Whether the control plane answers on its debug port.
    controller_log_level: Log level of the control plane.
    envoy_log_level: Log level of proxies.
    local_proxy_mode: Whether a proxy calls its application at 127.0.0.1 (`Localhost`) or at the pod's
        address (`PodIP`).
    max_data_plane_connections: How many proxies a replica serves; 0 is no limit.
    config_resync_interval: Has no effect: nothing needs to be sent again.
    enable_privileged_init_container: Whether the init container runs privileged.
    outbound_ip_range_exclusion_list: IPv4 ranges to which calls bypass the proxy.
    outbound_ip_range_inclusion_list: If there are any, only calls to these ranges are intercepted.
    outbound_port_exclusion_list: Ports to which calls bypass the proxy.
    inbound_port_exclusion_list: Ports at which calls bypass the proxy.
    network_interface_exclusion_list: Network interfaces that the proxy leaves alone.
    tracing: Where proxies send spans.
    feature_flags: OSM's switches.
    """

    mesh_name: Label = "osm"
    osm_namespace: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    former_mesh_name: Annotated[
        str, msgspec.Meta(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)
    ] = ""
    enforce_single_mesh: bool = True
    trust_domain: str = "cluster.local"
    image: Image = Image()
    image_pull_secrets: tuple[Names, ...] = ()
    sidecar_image: str = ""
    osm_controller: Controller = Controller()
    injector: Injector = Injector()
    control_plane_tolerations: tuple[Names, ...] = ()
    ca_bundle_secret_name: str = CA_SECRET
    certificate_provider: CertificateProvider = CertificateProvider()
    enable_permissive_traffic_policy: bool = True
    enable_egress: bool = True
    enable_debug_server: bool = False
    controller_log_level: Annotated[str, msgspec.Meta(pattern=_OSM_LEVEL)] = "info"
    envoy_log_level: Annotated[str, msgspec.Meta(pattern=_ENVOY_LEVEL)] = "error"
    local_proxy_mode: Annotated[str, msgspec.Meta(pattern=r"^(Localhost|PodIP)$")] = "Localhost"
    max_data_plane_connections: Annotated[int, msgspec.Meta(ge=0)] = 0
    config_resync_interval: str = "0s"
    enable_privileged_init_container: bool = False
    outbound_ip_range_exclusion_list: tuple[Range, ...] = msgspec.field(
        name="outboundIPRangeExclusionList", default=()
    )
    outbound_ip_range_inclusion_list: tuple[Range, ...] = msgspec.field(
        name="outboundIPRangeInclusionList", default=()
    )
    outbound_port_exclusion_list: tuple[Port, ...] = ()
    inbound_port_exclusion_list: tuple[Port, ...] = ()
    network_interface_exclusion_list: tuple[str, ...] = ()
    tracing: Tracing = Tracing()
    feature_flags: FeatureFlags = FeatureFlags()


class Smi(ValuesStruct, frozen=True):
    """How objects of the Service Mesh Interface are looked at.

    validate_traffic_target: Whether a TrafficTarget is refused whose destination is in another
        namespace.
    """

    validate_traffic_target: bool = True


class Values(ValuesStruct, frozen=True):
    """All values.

    osm: The mesh.
    smi: The Service Mesh Interface.
    """

    osm: Osm = Osm()
    smi: Smi = Smi()

    def tree(self) -> dict[str, object]:
        """As `values.yaml` writes them."""
        tree: dict[str, object] = msgspec.json.decode(msgspec.json.encode(self))
        return tree
