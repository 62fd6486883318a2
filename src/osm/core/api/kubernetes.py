"""The Kubernetes kinds that a mesh and a local process runner read, and of them what they use."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from osm.core.api.metadata import KubernetesStruct, Metadata
from osm.core.api.scalars import (
    DnsLabel,
    NaturalNumber,
    PortName,
    PortNumber,
    PortOrName,
    PositiveNumber,
    TransportProtocol,
    check_cluster_ip,
    checked,
    one_of,
)


class Namespace(KubernetesStruct, frozen=True):
    """A namespace; its labels say whether it takes part in the mesh."""

    metadata: Metadata


class ServiceAccount(KubernetesStruct, frozen=True):
    """Who workloads are."""

    metadata: Metadata


class ServicePortSpec(KubernetesStruct, frozen=True):
    """One port of a service. A `targetPort` that is not given equals `port`."""

    port: PortNumber
    name: PortName = ""
    target_port: PortOrName = 0
    protocol: TransportProtocol = "TCP"
    app_protocol: str = ""

    def __post_init__(self) -> None:
        if not self.target_port:
            msgspec.structs.force_setattr(self, "target_port", self.port)


class ServiceSpec(KubernetesStruct, frozen=True):
    """`cluster_ip` is empty (to be assigned), an address, or `None` for a headless service."""

    type: Annotated[
        str, checked(one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"))
    ] = "ClusterIP"
    selector: Mapping[str, str] = {}
    ports: tuple[ServicePortSpec, ...] = ()
    cluster_ip: Annotated[str, checked(check_cluster_ip)] = msgspec.field(
        name="clusterIP", default=""
    )
    external_name: str = ""
    publish_not_ready_addresses: bool = False


class Service(KubernetesStruct, frozen=True):
    """A name and address that clients call."""

    metadata: Metadata
    spec: ServiceSpec


class FieldRef(KubernetesStruct, frozen=True):
    """A field of the pod itself, such as `status.podIP` or `metadata.name`."""

    field_path: str


class EnvSource(KubernetesStruct, frozen=True):
    """Where a variable's value comes from. Without `field_ref`: a source that we do not read."""

    field_ref: FieldRef | None = None


class EnvVar(KubernetesStruct, frozen=True):
    """An environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class ContainerPort(KubernetesStruct, frozen=True):
    """A port that a container listens on, by name."""

    container_port: PortNumber
    name: PortName = ""
    protocol: TransportProtocol = "TCP"


class HttpHeader(KubernetesStruct, frozen=True):
    """A header that a probe sends."""

    name: str
    value: str


class HttpGetAction(KubernetesStruct, frozen=True):
    """A probe by HTTP: answers 200 to 399 are good."""

    port: PortOrName
    path: str = "/"
    host: str = ""
    scheme: Annotated[str, checked(one_of("HTTP", "HTTPS"))] = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(KubernetesStruct, frozen=True):
    """A probe by opening a connection."""

    port: PortOrName
    host: str = ""


class ExecAction(KubernetesStruct, frozen=True):
    """A probe by running a command: exit code 0 is good."""

    command: tuple[str, ...] = ()


class GrpcAction(KubernetesStruct, frozen=True):
    """A probe by gRPC's health protocol."""

    port: PortNumber
    service: str = ""


class Probe(KubernetesStruct, frozen=True):
    """One of four actions, how often, and how many results count. Times are in seconds."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    exec: ExecAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: NaturalNumber = 0
    period_seconds: PositiveNumber = 10
    timeout_seconds: PositiveNumber = 1
    success_threshold: PositiveNumber = 1
    failure_threshold: PositiveNumber = 3


class Container(KubernetesStruct, frozen=True):
    """A program of a pod."""

    name: DnsLabel
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    restart_policy: str = ""
    """`Always` on an init container makes it a sidecar."""


class PodSpec(KubernetesStruct, frozen=True):
    """What a pod runs, and as whom."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    service_account_name: str = ""
    service_account: str = ""
    """Deprecated spelling of `service_account_name`, which is filled in from it."""
    hostname: str = ""
    subdomain: str = ""
    host_network: bool = False
    restart_policy: str = "Always"
    termination_grace_period_seconds: NaturalNumber = 30
    readiness_gates: tuple[Mapping[str, str], ...] = ()
    """Conditions that somebody else must set before the pod counts as ready."""

    def __post_init__(self) -> None:
        if not self.service_account_name and self.service_account:
            msgspec.structs.force_setattr(self, "service_account_name", self.service_account)


class PodCondition(KubernetesStruct, frozen=True):
    """One aspect of a pod's state, for instance `Ready`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class ContainerStatus(KubernetesStruct, frozen=True):
    """How one container is."""

    name: str
    ready: bool = False
    restart_count: int = 0


class PodStatus(KubernetesStruct, frozen=True):
    """What the platform says of a pod."""

    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    reason: str = ""
    message: str = ""


class Pod(KubernetesStruct, frozen=True):
    """A running workload."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus = PodStatus()


class PodTemplate(KubernetesStruct, frozen=True):
    """What the pods of a Deployment or StatefulSet look like."""

    spec: PodSpec
    metadata: Metadata = Metadata()


class LabelSelector(KubernetesStruct, frozen=True):
    """Labels that must all be equal."""

    match_labels: Mapping[str, str] = {}


class DeploymentSpec(KubernetesStruct, frozen=True):
    """Equal pods, `replicas` of them."""

    selector: LabelSelector
    template: PodTemplate
    replicas: NaturalNumber = 1


class Deployment(KubernetesStruct, frozen=True):
    """Pods that are alike."""

    metadata: Metadata
    spec: DeploymentSpec


class StatefulSetSpec(KubernetesStruct, frozen=True):
    """Numbered pods; `service_name` is the headless service that gives them names."""

    selector: LabelSelector
    template: PodTemplate
    service_name: str = ""
    replicas: NaturalNumber = 1


class StatefulSet(KubernetesStruct, frozen=True):
    """Pods with names of their own."""

    metadata: Metadata
    spec: StatefulSetSpec
