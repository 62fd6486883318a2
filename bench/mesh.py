"""A synthetic mesh of any size: services with pods behind them, and access rules along a chain."""

from osm.core.api.kubernetes import (
    Container,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    Service,
    ServicePortSpec,
    ServiceSpec,
)
from osm.core.api.manifest import Key, Manifest
from osm.core.api.metadata import Metadata
from osm.core.api.smi import (
    Destination,
    HTTPMatch,
    HTTPRouteGroup,
    HTTPRouteGroupSpec,
    Subject,
    TrafficTarget,
    TrafficTargetRule,
    TrafficTargetSpec,
)
from osm.core.compile.snapshot import Snapshot

NAMESPACE = "bench"


def pod(service: int, replica: int, *, ready: bool = True) -> Manifest:
    """One workload of a service."""
    name = f"s{service}-{replica}"
    return Manifest(
        Key("", "Pod", NAMESPACE, name),
        Pod(
            Metadata(name=name, namespace=NAMESPACE, labels={"app": f"s{service}"}),
            PodSpec(containers=(Container("app"),), service_account_name=f"s{service}"),
            PodStatus(
                phase="Running",
                pod_ip=f"241.{service >> 8}.{service & 255}.{replica + 1}",
                conditions=(PodCondition("Ready", "True" if ready else "False"),),
            ),
        ),
        {},
    )


def service(number: int) -> Manifest:
    """A service with one HTTP port."""
    name = f"s{number}"
    return Manifest(
        Key("", "Service", NAMESPACE, name),
        Service(
            Metadata(name=name, namespace=NAMESPACE),
            ServiceSpec(
                selector={"app": name},
                ports=(ServicePortSpec(80, target_port=8080),),
                cluster_ip=f"240.0.{number >> 8}.{number & 255}",
            ),
        ),
        {},
    )


def access(number: int, path: str = "/.*") -> list[Manifest]:
    """Service `number` may be called by the ten services after it."""
    name = f"s{number}"
    group = HTTPRouteGroup(
        Metadata(name=name, namespace=NAMESPACE),
        HTTPRouteGroupSpec((HTTPMatch("m", path, ("GET",)),)),
    )
    target = TrafficTarget(
        Metadata(name=name, namespace=NAMESPACE),
        TrafficTargetSpec(
            Destination(name, NAMESPACE),
            tuple(Subject(f"s{number + i}", NAMESPACE) for i in range(1, 11)),
            (TrafficTargetRule("HTTPRouteGroup", name, ("m",)),),
        ),
    )
    return [
        Manifest(Key("specs.smi-spec.io", "HTTPRouteGroup", NAMESPACE, name), group, {}),
        Manifest(Key("access.smi-spec.io", "TrafficTarget", NAMESPACE, name), target, {}),
    ]


def snapshot(services: int, replicas: int) -> Snapshot:
    """All objects of a mesh."""
    manifests = [
        manifest
        for number in range(services)
        for manifest in (
            service(number),
            *access(number),
            *(pod(number, replica) for replica in range(replicas)),
        )
    ]
    return Snapshot().with_changes(manifests)
