"""Front end: Kubernetes pods and services become workloads, service ports and endpoints."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osm.core.api.kubernetes import Namespace, Pod, Service, ServicePortSpec
from osm.core.api.manifest import Key
from osm.core.compile.local_annotations import local_placement
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.service import Endpoint, PortName, Protocol, ServiceName, ServicePort
from osm.core.model.workload import Workload

MONITORED_BY = "openservicemesh.io/monitored-by"
IGNORE = "openservicemesh.io/ignore"

_APPLICATION_PROTOCOLS = {
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


def meshed_namespaces(snapshot: Snapshot, options: CompileOptions) -> frozenset[str]:
    """Namespaces that take part: by OSM's label, or (locally) all that are not told otherwise."""
    declared = {key.name: namespace.metadata.labels for key, namespace in snapshot.of(Namespace)}
    if options.require_monitored_label:
        return frozenset(
            name
            for name, labels in declared.items()
            if labels.get(MONITORED_BY) == options.mesh and IGNORE not in labels
        )
    used = {key.namespace for key in snapshot.objects if key.namespace}
    return frozenset(used | set(declared)) - {
        name for name, labels in declared.items() if IGNORE in labels
    }


def compile_workloads(
    snapshot: Snapshot, namespaces: frozenset[str], trust_domain: str
) -> Mapping[tuple[str, str], Workload]:
    """Every pod of the mesh that has an address."""
    workloads = (
        _workload(pod, trust_domain) for key, pod in snapshot.of(Pod) if key.namespace in namespaces
    )
    return {(w.namespace, w.name): w for w in workloads if w.ip}


def _workload(pod: Pod, trust_domain: str) -> Workload:
    meta, spec, status = pod.metadata, pod.spec, pod.status
    placement = local_placement(meta.annotations)
    owner_kind, owner_name = _owner(pod)
    return Workload(
        namespace=meta.namespace,
        name=meta.name,
        identity=Identity(trust_domain, meta.namespace, spec.service_account_name or "default"),
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
        ready=any(c.type == "Ready" and c.status == "True" for c in status.conditions),
        owner_kind=owner_kind,
        owner_name=owner_name,
        subdomain=spec.subdomain,
        app_ip=placement.app_ip,
        inbound=placement.inbound,
        capture=placement.capture,
    )


def _owner(pod: Pod) -> tuple[str, str]:
    """What made the pod, as people know it: of a ReplicaSet, the Deployment (`reference/osm.md` §5.3)."""
    for owner in pod.metadata.owner_references:
        if owner.kind == "ReplicaSet" and "-" in owner.name:
            return "Deployment", owner.name.rpartition("-")[0]
        return owner.kind, owner.name
    return "Pod", pod.metadata.name


class Services(msgspec.Struct, frozen=True):
    """What the services of the mesh mean."""

    ports: Mapping[PortName, ServicePort]
    endpoints: Mapping[PortName, tuple[Endpoint, ...]]
    of_workload: Mapping[tuple[str, str], tuple[PortName, ...]]
    findings: tuple[Finding, ...]


def compile_services(
    snapshot: Snapshot,
    namespaces: frozenset[str],
    workloads: Mapping[tuple[str, str], Workload],
) -> Services:
    """Service ports, the ready endpoints behind each, and what is wrong with the services."""
    of_workload: dict[tuple[str, str], list[PortName]] = {}
    ports: dict[PortName, ServicePort] = {}
    endpoints: dict[PortName, tuple[Endpoint, ...]] = {}
    findings: list[Finding] = []
    labelled = _by_label(workloads.values())
    for key, service in snapshot.of(Service):
        if key.namespace not in namespaces or service.spec.type == "ExternalName":
            continue
        behind = _selected(key.namespace, service, labelled)
        for spec in service.spec.ports:
            if spec.protocol not in ("", "TCP"):
                continue
            protocol, finding = _protocol(key, spec, snapshot.where(key))
            findings.extend(finding)
            for name, members in _members(key, service, behind):
                port = _service_port(name, spec, protocol, service, members)
                ports[port.name] = port
                for member in members:
                    of_workload.setdefault((member.namespace, member.name), []).append(port.name)
                endpoints[port.name] = _endpoints(
                    port,
                    members,
                    publish_not_ready=service.spec.publish_not_ready_addresses,
                )
    return Services(
        ports,
        endpoints,
        {who: tuple(sorted(found)) for who, found in of_workload.items()},
        tuple(findings),
    )


def _is_headless(service: Service) -> bool:
    return service.spec.cluster_ip == "None"


Labelled = Mapping[tuple[str, str, str], Sequence[Workload]]
"""Workloads by namespace and one of their labels, name and value."""


def _by_label(workloads: Iterable[Workload]) -> Labelled:
    found: dict[tuple[str, str, str], list[Workload]] = {}
    for workload in workloads:
        for name, value in workload.labels:
            found.setdefault((workload.namespace, name, value), []).append(workload)
    return found


def _selected(namespace: str, service: Service, labelled: Labelled) -> tuple[Workload, ...]:
    """An empty selector selects nothing (`reference/osm.md` §7.1)."""
    wanted = set(service.spec.selector.items())
    candidates = [labelled.get((namespace, name, value), ()) for name, value in wanted]
    if not candidates:
        return ()
    return tuple(sorted(w for w in min(candidates, key=len) if wanted <= set(w.labels)))


def _members(
    key: Key, service: Service, behind: tuple[Workload, ...]
) -> list[tuple[ServiceName, tuple[Workload, ...]]]:
    """The service itself, and each pod of a headless service that has a stable name."""
    members = [(ServiceName(key.namespace, key.name), behind)]
    if _is_headless(service):
        members += [
            (ServiceName(key.namespace, key.name, workload.name), (workload,))
            for workload in behind
            if workload.subdomain == key.name
        ]
    return members


def port_protocol(spec: ServicePortSpec) -> Protocol | None:
    """`appProtocol`, else the port name's prefix, else HTTP (`reference/osm.md` §7.1).

    None when the `appProtocol` is not known.
    """
    if spec.app_protocol:
        return _APPLICATION_PROTOCOLS.get(spec.app_protocol.lower())
    for prefix in _NAME_PREFIXES:
        if spec.name == prefix or spec.name.startswith(prefix + "-"):
            return Protocol(prefix)
    return Protocol.HTTP


def _protocol(key: Key, spec: ServicePortSpec, where: str) -> tuple[Protocol, tuple[Finding, ...]]:
    """The port's protocol; one that is not known is TCP, and a finding says so."""
    known = port_protocol(spec)
    if known is not None:
        return known, ()
    finding = Finding(
        "OSM201",
        Severity.WARNING,
        Origin("Service", key.namespace, key.name, f"spec.ports[{spec.port}].appProtocol"),
        f"appProtocol {spec.app_protocol!r} is not known; the port is treated as tcp",
        "Use one of: " + ", ".join(sorted(_APPLICATION_PROTOCOLS)),
        where,
    )
    return Protocol.TCP, (finding,)


def _service_port(
    name: ServiceName,
    spec: ServicePortSpec,
    protocol: Protocol,
    service: Service,
    members: tuple[Workload, ...],
) -> ServicePort:
    headless = _is_headless(service)
    cluster_ip = service.spec.cluster_ip
    return ServicePort(
        name=PortName(name, spec.port),
        protocol=protocol,
        target_port=_target_port(spec, members),
        addresses=(
            tuple(sorted({w.ip for w in members}))
            if headless
            else ((cluster_ip,) if cluster_ip else ())
        ),
        identities=tuple(sorted({w.identity for w in members})),
        headless=headless,
    )


def _target_port(spec: ServicePortSpec, members: Sequence[Workload]) -> int:
    target = spec.target_port or spec.port
    if isinstance(target, int):
        return target
    numbers = [number for w in members for name, number in w.ports if name == target]
    return numbers[0] if numbers else 0


def _endpoints(
    port: ServicePort, members: Sequence[Workload], *, publish_not_ready: bool
) -> tuple[Endpoint, ...]:
    if not port.target_port:
        return ()
    return tuple(
        Endpoint(
            address=w.inbound_address(port.target_port),
            namespace=w.namespace,
            workload=w.name,
            owner_kind=w.owner_kind,
            owner_name=w.owner_name,
        )
        for w in members
        if w.ready or publish_not_ready
    )
