"""What is wrong between a Service and the workloads behind it."""

from collections.abc import Iterator

from osm.core.api.manifest import Key
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of
from osm.core.compile.tables import CompiledService, PortShape, ServiceShape, Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.mesh import WorkloadKey
from osm.core.model.origin import Finding, Severity
from osm.core.model.reserved import PROXY_CONTAINER
from osm.core.model.service import PortName, Protocol, ServiceName, ServicePort

_HTTP2 = (Protocol.HTTP2, Protocol.GRPC)

Members = tuple[WorkloadKey, ...]


def _findings(tables: Tables, key: Key, compiled: CompiledService) -> tuple[Finding, ...] | None:
    shape, where = tables.service_shapes[key], tables.service_objects[key].where
    members = tables.members.get(key, ())
    if not members:
        return tuple(_no_workload(tables, key, shape, where)) or None
    found = [
        finding
        for port in shape.ports
        for finding in _port_findings(tables, key, compiled, port, members, where)
    ]
    if not found and shape.ports and not any(compiled.endpoints.values()):
        found.append(_nobody_ready(key, members, where))
    if shape.headless:
        found += _other_subdomain(tables, key, members, where)
    found += _spoken_twice(tables, key, compiled, members, where)
    return tuple(found) or None


def field_of(tables: Tables, key: Key, number: int) -> str:
    """The place of a service's TCP port, by its number."""
    ports = tables.service_objects[key].object.spec.ports
    places = (i for i, port in enumerate(ports) if (port.port, port.protocol) == (number, "TCP"))
    return f"spec.ports[{next(places, 0)}]"


def _no_workload(tables: Tables, key: Key, shape: ServiceShape, where: str) -> Iterator[Finding]:
    """Of a service whose callers, if there are any, find nobody; a split says so of its backends."""
    service = ServiceName(key.namespace, key.name)
    names = [PortName(service, port.port) for port in shape.ports]
    if not any(_keeps_some(tables, name) for name in names):
        return
    if any(_gets_a_share(tables, root, name) for name in names for root in _roots(tables, name)):
        return
    if shape.selector:
        selector = ", ".join(f"{name}={value}" for name, value in shape.selector)
        yield Finding(
            codes.SELECTS_NOTHING,
            Severity.WARNING,
            origin_of(key, "spec.selector"),
            f"no workload has the labels {selector}, so whoever calls this service gets no answer",
            f"Look at the labels of the pods in namespace {key.namespace}.",
            where,
        )
    else:
        yield Finding(
            codes.SELECTS_NOTHING,
            Severity.WARNING,
            origin_of(key, "spec.selector"),
            "without a selector no workload stands behind this service: whoever calls it gets no "
            "answer",
            "Add the labels of the pods. Endpoints that are written by hand are not part of the mesh.",
            where,
        )


def _roots(tables: Tables, name: PortName) -> tuple[PortName, ...]:
    return tables.roots_of.get(name, ())


def _keeps_some(tables: Tables, name: PortName) -> bool:
    """Whether calls of a service port reach its own workloads without a split's doing."""
    route = tables.routes.get(name)
    return route is not None and any(rule.origin.kind == "Service" for rule in route.rules)


def _gets_a_share(tables: Tables, root: PortName, backend: PortName) -> bool:
    """Whether calls of one service port can reach another one's workloads."""
    route = tables.routes.get(root)
    return route is not None and any(
        each.port == backend and each.weight > 0 for rule in route.rules for each in rule.backends
    )


def _port_findings(
    tables: Tables,
    key: Key,
    compiled: CompiledService,
    port: PortShape,
    members: Members,
    where: str,
) -> Iterator[Finding]:
    name = PortName(ServiceName(key.namespace, key.name), port.port)
    if not compiled.ports[name].target_port:
        yield Finding(
            codes.TARGET_NAME,
            Severity.ERROR,
            origin_of(key, field_of(tables, key, port.port) + ".targetPort"),
            f"no container behind this service has a port named {port.target!r}, so whoever calls "
            f"port {port.port} gets no answer",
            _known_ports(tables, members),
            where,
        )
    elif isinstance(port.target, int) and not _may_listen(tables, members, port.target):
        yield Finding(
            codes.TARGET_NUMBER,
            Severity.INFO,
            origin_of(key, field_of(tables, key, port.port) + ".targetPort"),
            f"no container behind this service declares port {port.target}",
            f"If nothing listens there, correct the number. {_known_ports(tables, members)}",
            where,
        )


def _may_listen(tables: Tables, members: Members, number: int) -> bool:
    """Whether some workload declares a port, or one of those before it does not say its ports."""
    for member in members:
        declared = _declared(tables, member)
        if not declared or number in declared:
            return True
    return False


def _declared(tables: Tables, member: WorkloadKey) -> dict[int, str]:
    """The ports of a pod's containers, and their names; not those of an injected proxy."""
    spec = tables.pods[member].object.spec
    return {
        port.container_port: port.name
        for container in (*spec.containers, *spec.init_containers)
        if container.name != PROXY_CONTAINER
        for port in container.ports
    }


def _known_ports(tables: Tables, members: Members) -> str:
    known = {pair for member in members for pair in _declared(tables, member).items()}
    texts = [f"{number} ({name})" if name else str(number) for number, name in sorted(known)]
    return f"They declare: {', '.join(texts)}." if texts else "They declare none."


def _nobody_ready(key: Key, members: Members, where: str) -> Finding:
    count = len(members)
    who = "its workload is not" if count == 1 else f"none of its {count} workloads is"
    return Finding(
        codes.NOBODY_READY,
        Severity.INFO,
        origin_of(key),
        f"{who} ready: whoever calls this service gets no answer at present",
        "`osm status` says what they wait for.",
        where,
    )


def _other_subdomain(tables: Tables, key: Key, members: Members, where: str) -> Iterator[Finding]:
    """Pods of a StatefulSet have stable names below one service, if that exists."""
    wanted = {tables.workloads[member].subdomain for member in members} - {"", key.name}
    for subdomain in sorted(wanted):
        if Key("", "Service", key.namespace, subdomain) not in tables.service_shapes:
            yield Finding(
                codes.SUBDOMAIN,
                Severity.WARNING,
                origin_of(key),
                f"its pods want to be named below a service {subdomain!r}, which does not exist, so "
                "they have no names of their own",
                f"Say `serviceName: {key.name}` in their StatefulSet, or name this service "
                f"{subdomain}.",
                where,
            )


def _spoken_twice(
    tables: Tables, key: Key, compiled: CompiledService, members: Members, where: str
) -> Iterator[Finding]:
    """A workload's port has one protocol: that of the first service port by name."""
    services = {service for member in members for service in tables.selected_by[member]}
    if len(services) == 1 and len(compiled.ports) == 1:
        return
    others = [
        port
        for service in services
        for port in tables.compiled_services[service].ports.values()
        if port.target_port and not port.name.service.subdomain
    ]
    for name, mine in sorted(compiled.ports.items()):
        first = min((port for port in others if port.target_port == mine.target_port), default=None)
        if first is None or name.service.subdomain or not _differs(first, mine):
            continue
        yield Finding(
            codes.SPOKEN_TWICE,
            Severity.WARNING,
            origin_of(key, field_of(tables, key, name.port)),
            f"port {mine.target_port} of its pods is {mine.protocol} here and {first.protocol} in "
            f"{first.name}, which comes first by name and counts",
            "Say the same protocol in both.",
            where,
        )


def _differs(first: ServicePort, mine: ServicePort) -> bool:
    """Whether what one says spoils the other. gRPC also works where HTTP is said."""
    if first.protocol.is_http != mine.protocol.is_http:
        return True
    return first.protocol in _HTTP2 and mine.protocol is Protocol.HTTP


STAGES: tuple[Stage, ...] = (Derive("endpoint_findings", "compiled_services", _findings),)
