"""Of a pod at admission, what injection reads. The document itself is what gets changed."""

from collections.abc import Mapping

import msgspec

from osm.core.api.metadata import KubernetesStruct
from osm.core.inject.verdict import Refuse

Document = Mapping[str, object]
"""A pod, or a part of it, as JSON has it."""


class PodMetadata(KubernetesStruct, frozen=True):
    """A pod at admission may have no name yet, nor a namespace."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class Security(KubernetesStruct, frozen=True):
    """Of a pod or of one of its containers."""

    run_as_user: int | None = None


class Port(KubernetesStruct, frozen=True):
    """A port that a container says it listens on."""

    container_port: int = 0
    name: str = ""


class HttpGet(KubernetesStruct, frozen=True):
    """A probe by a request."""

    port: int | str = 0
    path: str = ""
    host: str = ""
    scheme: str = ""


class TcpSocket(KubernetesStruct, frozen=True):
    """A probe by a connection."""

    port: int | str = 0
    host: str = ""


class Grpc(KubernetesStruct, frozen=True):
    """A probe by gRPC's health protocol."""

    port: int = 0


class Probe(KubernetesStruct, frozen=True):
    """How a container is asked. A time of 0 s stands for Kubernetes' default."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    grpc: Grpc | None = None
    timeout_seconds: int = 0
    period_seconds: int = 0


class Container(KubernetesStruct, frozen=True):
    """A program of the pod."""

    name: str = ""
    ports: tuple[Port, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    security_context: Security = Security()


class Volume(KubernetesStruct, frozen=True):
    """Something that containers mount."""

    name: str = ""


class OperatingSystem(KubernetesStruct, frozen=True):
    """What the pod's programs are made for."""

    name: str = ""


class PodSpec(KubernetesStruct, frozen=True):
    """What the pod runs, and how."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_selector: Mapping[str, str] = {}
    os: OperatingSystem = OperatingSystem()
    security_context: Security = Security()
    host_network: bool = False
    restart_policy: str = "Always"

    @property
    def programs(self) -> tuple[Container, ...]:
        """All containers, in the order in which they start."""
        return (*self.init_containers, *self.containers)


class Pod(KubernetesStruct, frozen=True):
    """A pod that somebody wants to create."""

    spec: PodSpec
    metadata: PodMetadata = PodMetadata()


def read_pod(document: object) -> Pod | Refuse:
    """The pod, or that this is none."""
    try:
        return msgspec.convert(document, Pod, strict=True)
    except msgspec.ValidationError as error:
        return Refuse(f"this pod cannot be read: {error}")
