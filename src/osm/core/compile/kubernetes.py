"""Front end: Kubernetes pods and services become workloads, service ports and endpoints."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from osm.core.api.kubernetes import Pod, Service, ServicePortSpec
from osm.core.api.manifest import Key
from osm.core.api.membership import is_read
from osm.core.api.mesh_keys import IGNORE
from osm.core.api.proxy_kind import proxy_kind
from osm.core.compile.endpoints import endpoints_of
from osm.core.compile.local_annotations import Placement, local_placement
from osm.core.compile.options import CompileOptions
from osm.core.compile.tables import (
    ONE,
    CompiledService,
    Label,
    PortShape,
    ServiceShape,
    Tables,
    Written,
)
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.identity import Identity
from osm.core.model.mesh import WorkloadKey
from osm.core.model.service import Endpoint, PortName, Protocol, ServiceName, ServicePort
from osm.core.model.workload import ProxyKind, Workload

DISCOVERY = "openservicemesh.io/discovery"
"""Annotation of a pod: `eager` or `on-demand`, whatever the mesh's default is."""

APPLICATION_PROTOCOLS = {
    "http": Protocol.HTTP,
    "kubernetes.io/ws": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "h2c": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "tcp": Protocol.TCP,
    "tls": Protocol.TLS,
    "https": Protocol.TLS,
    "kubernetes.io/wss": Protocol.TLS,
    "tcp-server-first": Protocol.TCP_SERVER_FIRST,
}
_NAME_PREFIXES = ("tcp-server-first", "http2", "http", "grpc", "tcp", "tls")
EAGER = {"eager": True, "on-demand": False}
"""The values of `DISCOVERY`, and whether they mean that a proxy holds all services at once."""


def is_meshed(tables: Tables, namespace: str) -> bool:
    """Whether a namespace takes part: by OSM's label, or (locally) unless it is told otherwise."""
    options = tables.options[ONE]
    declared = tables.namespaces.get(Key("", "Namespace", "", namespace))
    labels = declared.object.metadata.labels if declared else {}
    if options.require_monitored_label:
        return is_read(labels, options.mesh, options.former_mesh)
    return IGNORE not in labels


_ENDED = ("Succeeded", "Failed")

# --- workloads


def _workload_of_pod(tables: Tables, key: WorkloadKey, pod: Written[Pod]) -> Workload | None:
    """Every pod of the mesh that has an address, until it has ended and another may have that."""
    options = tables.options[ONE]
    said = pod.object.metadata.annotations if options.placement else {}
    placement = local_placement(said)
    if not _has_address(pod.object, local=options.placement) or not is_meshed(tables, key[0]):
        return None
    if pod.object.status.phase in _ENDED:
        return None
    return _workload(pod.object, options, placement)


def _has_address(pod: Pod, *, local: bool) -> bool:
    """Whether callers can reach a pod. Its own machine, to them, would be theirs: but for a local
    mesh, where it is one machine, and the platform says where proxies are.
    """
    try:
        address = ip_address(pod.status.pod_ip.removeprefix("::ffff:"))
    except ValueError:
        return False
    return local or not (address.is_loopback or address.is_unspecified)


def _workload(pod: Pod, options: CompileOptions, placement: Placement) -> Workload:
    meta, spec, status = pod.metadata, pod.spec, pod.status
    owner_kind, owner_name = owner_of(pod)
    kind = ProxyKind.OWN
    if not options.placement:
        kind = proxy_kind(meta.labels, spec.init_containers, spec.containers)
    return Workload(
        namespace=meta.namespace,
        name=meta.name,
        identity=Identity(
            options.trust_domain, meta.namespace, spec.service_account_name or "default"
        ),
        ip=status.pod_ip,
        labels=tuple(sorted(meta.labels.items())),
        ports=tuple(
            sorted(
                (port.name, port.container_port)
                for container in spec.containers
                for port in container.ports
                if port.name
            )
        ),
        # One that ends still answers what it was asked, and is asked nothing more.
        ready=not meta.deletion_timestamp
        and any(c.type == "Ready" and c.status == "True" for c in status.conditions),
        serves=not meta.deletion_timestamp
        and not spec.readiness_gates
        and any(c.type == "ContainersReady" and c.status == "True" for c in status.conditions),
        owner_kind=owner_kind,
        owner_name=owner_name,
        subdomain=spec.subdomain,
        app_ip=placement.app_ip,
        inbound=placement.inbound,
        ingress=placement.ingress,
        capture=placement.capture,
        redirection=placement.redirection,
        eager=EAGER.get(meta.annotations.get(DISCOVERY, "").lower()),
        proxy_kind=kind,
        takes_mutual_tls=kind is ProxyKind.OWN
        or (kind is ProxyKind.FORMER and bool(options.former_mesh)),
    )


def owner_of(pod: Pod) -> tuple[str, str]:
    """What made the pod, as people know it: of a ReplicaSet, the Deployment (`reference/osm.md` §5.3)."""
    for owner in pod.metadata.owner_references:
        if owner.kind == "ReplicaSet" and "-" in owner.name:
            return "Deployment", owner.name.rpartition("-")[0]
        return owner.kind, owner.name
    return "Pod", pod.metadata.name


# --- services


def _service_shape(tables: Tables, key: Key, service: Written[Service]) -> ServiceShape | None:
    spec = service.object.spec
    if spec.type == "ExternalName" or not is_meshed(tables, key.namespace):
        return None
    return ServiceShape(
        selector=tuple(sorted(spec.selector.items())),
        cluster_ip=spec.cluster_ip,
        publish_not_ready=spec.publish_not_ready_addresses,
        ports=tuple(
            PortShape(port.port, port.target_port or port.port, port_protocol(port) or Protocol.TCP)
            for port in spec.ports
            if port.protocol in ("", "TCP")
        ),
    )


def port_protocol(spec: ServicePortSpec) -> Protocol | None:
    """`appProtocol`, else the port name's prefix, else HTTP (`reference/osm.md` §7.1).

    None when the `appProtocol` is not known.
    """
    if spec.app_protocol:
        return APPLICATION_PROTOCOLS.get(spec.app_protocol.lower())
    return name_protocol(spec.name) or Protocol.HTTP


def name_protocol(name: str) -> Protocol | None:
    """What a port's name begins with, if that is a protocol."""
    for prefix in _NAME_PREFIXES:
        if name == prefix or name.startswith(prefix + "-"):
            return Protocol(prefix)
    return None


def _by_first_label(key: Key, shape: ServiceShape) -> Iterator[Label]:
    """Found by one label of the selector, services need not be compared with every workload.

    An empty selector selects nothing (`reference/osm.md` §7.1).
    """
    for name, value in shape.selector[:1]:
        yield key.namespace, name, value


def _selected_by(tables: Tables, _: WorkloadKey, workload: Workload) -> tuple[Key, ...] | None:
    """The services whose selector fits a workload's labels."""
    labels = set(workload.labels)
    return (
        tuple(
            service
            for name, value in workload.labels
            for service in tables.services_by_label.get((workload.namespace, name, value), ())
            if labels.issuperset(tables.service_shapes[service].selector)
        )
        or None
    )


def _compiled_service(tables: Tables, key: Key, shape: ServiceShape) -> CompiledService:
    behind = [tables.workloads[name] for name in tables.members.get(key, ())]
    ports: dict[PortName, ServicePort] = {}
    endpoints: dict[PortName, tuple[Endpoint, ...]] = {}
    for spec in shape.ports:
        for name, members in _members(key, shape, behind):
            port = _service_port(PortName(name, spec.port), spec, shape, members)
            ports[port.name] = port
            endpoints[port.name] = endpoints_of(
                port, members, publish_not_ready=shape.publish_not_ready
            )
    return CompiledService(ports, endpoints)


def _members(
    key: Key, shape: ServiceShape, behind: Sequence[Workload]
) -> Iterator[tuple[ServiceName, Sequence[Workload]]]:
    """The service itself, and each pod of a headless service that has a stable name."""
    yield ServiceName(key.namespace, key.name), behind
    for workload in behind:
        if _has_stable_name(key, shape, workload):
            yield ServiceName(key.namespace, key.name, workload.name), (workload,)


def _has_stable_name(key: Key, shape: ServiceShape, workload: Workload) -> bool:
    return shape.headless and workload.subdomain == key.name


def _service_port(
    name: PortName, spec: PortShape, shape: ServiceShape, members: Sequence[Workload]
) -> ServicePort:
    cluster_ip = shape.cluster_ip
    return ServicePort(
        name=name,
        protocol=spec.protocol,
        target_port=_target_port(spec.target, members),
        addresses=(
            tuple(sorted({w.ip for w in members}))
            if shape.headless
            else ((cluster_ip,) if cluster_ip else ())
        ),
        identities=tuple(sorted({w.identity for w in members})),
        headless=shape.headless,
    )


def _target_port(target: int | str, members: Sequence[Workload]) -> int:
    if isinstance(target, int):
        return target
    numbers = (number for w in members for name, number in w.ports if name == target)
    return next(numbers, 0)


def _services_of(
    tables: Tables, key: WorkloadKey, services: tuple[Key, ...]
) -> tuple[PortName, ...] | None:
    names = set()
    for service in services:
        shape = tables.service_shapes[service]
        hosts = [ServiceName(service.namespace, service.name)]
        if shape.headless and _has_stable_name(service, shape, tables.workloads[key]):
            hosts.append(ServiceName(service.namespace, service.name, key[1]))
        names |= {PortName(host, port.port) for host in hosts for port in shape.ports}
    return tuple(sorted(names)) or None


def _port_of_owner(tables: Tables, name: PortName, owners: tuple[Key, ...]) -> ServicePort:
    return tables.compiled_services[owners[0]].ports[name]


def _endpoints_of_owner(
    tables: Tables, name: PortName, owners: tuple[Key, ...]
) -> tuple[Endpoint, ...]:
    return tables.compiled_services[owners[0]].endpoints[name]


STAGES: tuple[Stage, ...] = (
    Derive("workloads", "pods", _workload_of_pod),
    Group("workloads_of", "workloads", lambda _, workload: (workload.identity,)),
    Derive("service_shapes", "service_objects", _service_shape),
    Group("services_by_label", "service_shapes", _by_first_label),
    Derive("selected_by", "workloads", _selected_by),
    Group("members", "selected_by", lambda _, services: services),
    Derive("compiled_services", "service_shapes", _compiled_service),
    Group("port_owners", "compiled_services", lambda _, compiled: compiled.ports),
    Derive("services", "port_owners", _port_of_owner),
    Derive("endpoints", "port_owners", _endpoints_of_owner),
    Derive("services_of", "selected_by", _services_of),
    Group("ports_of", "services", lambda name, _: (name.service,)),
    Group("by_address", "services", lambda name, port: ((ip, name.port) for ip in port.addresses)),
    Group("by_cluster", "services", lambda _, port: (port.cluster_name,)),
)
