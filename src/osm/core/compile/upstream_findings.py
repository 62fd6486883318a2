"""What is wrong with an UpstreamTrafficSetting, seen with all other objects."""

from collections.abc import Iterable

from osm.core.api.manifest import Key
from osm.core.api.upstream_traffic import UpstreamTrafficSetting, UpstreamTrafficSettingSpec
from osm.core.compile import codes
from osm.core.compile.extension import unreachable
from osm.core.compile.global_limits import limit_server
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import oldest
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.compile.upstream import SUFFIX, origin_of, service_of
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.service import PortName, ServiceName
from osm.core.model.upstream import limited_paths


def _findings(
    tables: Tables, key: Key, setting: Written[UpstreamTrafficSetting]
) -> tuple[Finding, ...] | None:
    if not is_meshed(tables, key.namespace):
        return None
    spec, where = setting.object.spec, setting.where
    service = service_of(tables, key, setting)
    ports = tables.ports_of.get(service, ()) if service else ()
    if service is None or not ports:
        if tables.egresses_of.get(key):
            return tuple(_beyond_the_mesh(key, spec, where)) or None
        return (_no_service(key, spec.host, where),)
    found: list[Finding] = []
    winner = oldest(tables.upstream_settings, tables.upstreams_of[service])
    if winner is not None and winner != key:
        return (_second(key, service, winner, where),)
    found += _global_limits(tables, key, spec, where)
    found += _route_findings(tables, key, spec, ports, where)
    found += _shared_ports(tables, key, service, where)
    if not any(tables.services[port].protocol.is_http for port in ports):
        found += _http_only(key, spec, service, where)
    return tuple(found) or None


def _route_findings(
    tables: Tables,
    key: Key,
    spec: UpstreamTrafficSettingSpec,
    ports: tuple[PortName, ...],
    where: str,
) -> list[Finding]:
    permissive = tables.settings[ONE].permissive
    identities = {who for port in ports for who in tables.services[port].identities}
    known = {
        path
        for who in sorted(identities)
        for path in limited_paths(tables.access.get(who, ()), permissive=permissive)
    }
    known |= _paths_from_outside(tables, ports)
    found: list[Finding] = []
    for index, route in enumerate(spec.http_routes):
        origin = origin_of(key, f"spec.httpRoutes[{index}]")
        if identities and route.path not in known:
            found.append(_no_route(origin, route.path, known, permissive=permissive, where=where))
    return found


def _paths_from_outside(tables: Tables, ports: tuple[PortName, ...]) -> set[str]:
    """Those that an IngressBackend lets in."""
    owners = {Key("", "Service", port.service.namespace, port.service.name) for port in ports}
    workloads = (name for owner in owners for name in tables.members.get(owner, ()))
    rules = (rule for name in workloads for rule in tables.ingress.get(name, ()))
    return {path for rule in rules for path in rule.paths}


def _shared_ports(tables: Tables, key: Key, service: ServiceName, where: str) -> Iterable[Finding]:
    """A connection does not say which service it is for: the first by name sets a port's limit."""
    owner = Key("", "Service", service.namespace, service.name)
    mine = {tables.services[port].target_port for port in tables.ports_of.get(service, ())}
    others = {
        name.service
        for workload in tables.members.get(owner, ())
        for name in tables.services_of.get(workload, ())
        if name.service < service and tables.services[name].target_port in mine
    }
    for other in sorted(others):
        limits, own = tables.upstreams.get(other), tables.upstreams.get(service)
        if limits is None or own is None:
            continue
        for field, both in (
            ("local", limits.tcp and own.tcp),
            ("global", limits.tcp_everywhere and own.tcp_everywhere),
        ):
            if both is None:
                continue
            yield Finding(
                codes.LIMITS_SHARED_PORT,
                Severity.WARNING,
                origin_of(key, f"spec.rateLimit.{field}.tcp"),
                f"{service} shares a port of its workloads with {other}, whose limit counts there",
                f"See {limits.origin}.",
                where,
            )


def _global_limits(
    tables: Tables, key: Key, spec: UpstreamTrafficSettingSpec, where: str
) -> Iterable[Finding]:
    """A server that cannot be reached, or that is asked nothing."""
    everywhere = spec.rate_limit.global_ if spec.rate_limit else None
    if everywhere is None:
        return
    of_routes = [r.rate_limit and r.rate_limit.global_ for r in spec.http_routes]
    if everywhere.http and not everywhere.http.descriptors and not any(of_routes):
        yield _asks_nothing(origin_of(key, "spec.rateLimit.global.http.descriptors"), where)
    for field, limit in (("tcp", everywhere.tcp), ("http", everywhere.http)):
        if limit is not None:
            origin = origin_of(key, f"spec.rateLimit.global.{field}.rateLimitService")
            server = limit_server(limit.rate_limit_service, key.namespace)
            found = unreachable(tables, server, origin, where)
            if found:
                yield found


def _beyond_the_mesh(key: Key, spec: UpstreamTrafficSettingSpec, where: str) -> Iterable[Finding]:
    """Nobody of ours is there to keep limits on the side of the server."""
    for field, value in (
        ("spec.rateLimit", spec.rate_limit),
        ("spec.httpRoutes", spec.http_routes),
    ):
        if value:
            yield Finding(
                codes.LIMITS_BEYOND,
                Severity.WARNING,
                origin_of(key, field),
                "an Egress names these limits, and beyond the mesh nobody keeps them",
                "`connectionSettings` are limits on the side of the caller.",
                where,
            )


def _http_only(
    key: Key, spec: UpstreamTrafficSettingSpec, service: ServiceName, where: str
) -> list[Finding]:
    """Settings of HTTP for a service that speaks none."""
    local = spec.rate_limit.local if spec.rate_limit else None
    everywhere = spec.rate_limit.global_ if spec.rate_limit else None
    given = {
        "spec.connectionSettings.http": spec.connection_settings and spec.connection_settings.http,
        "spec.rateLimit.local.http": local and local.http,
        "spec.rateLimit.global.http": everywhere and everywhere.http,
        "spec.httpRoutes": spec.http_routes,
    }
    return [
        Finding(
            codes.LIMITS_NO_HTTP,
            Severity.WARNING,
            origin_of(key, field),
            f"service {service} has no HTTP port, so these limits have no effect",
            "If it speaks HTTP, say so: `appProtocol: http` at its port.",
            where,
        )
        for field, value in given.items()
        if value
    ]


def _no_service(key: Key, host: str, where: str) -> Finding:
    return Finding(
        codes.LIMITS_NO_SERVICE,
        Severity.WARNING,
        origin_of(key, "spec.host"),
        f"namespace {key.namespace} has no service whose full name is {host!r}",
        f"Write it as `<service>.{key.namespace}{SUFFIX}`, in the namespace of the service.",
        where,
    )


def _second(key: Key, service: ServiceName, winner: Key, where: str) -> Finding:
    return Finding(
        codes.LIMITS_TWICE,
        Severity.WARNING,
        origin_of(key, "spec.host"),
        f"{winner}, which is older, has the limits of {service}; this object has no effect",
        "Put all limits of a service into one UpstreamTrafficSetting.",
        where,
    )


def _no_route(
    origin: Origin, path: str, known: set[str], *, permissive: bool, where: str
) -> Finding:
    hint = "In permissive mode the only path is `.*`."
    if not permissive:
        listed = ", ".join(f"`{each}`" for each in sorted(known)[:10])
        hint = f"Access rules have these: {listed}." if known else "No access rule has a path."
    return Finding(
        codes.LIMITS_NO_ROUTE,
        Severity.WARNING,
        Origin(origin.kind, origin.namespace, origin.name, f"{origin.field}.path", origin.group),
        f"no route has the path {path!r}, so nothing is limited by it",
        hint,
        where,
    )


def _asks_nothing(origin: Origin, where: str) -> Finding:
    return Finding(
        codes.LIMITS_GLOBAL,
        Severity.WARNING,
        origin,
        "the rate limit service is asked about nothing, so nothing is limited by it",
        "Add `descriptors` here, or as `rateLimit.global.descriptors` of single `httpRoutes`.",
        where,
    )


STAGES: tuple[Stage, ...] = (Derive("upstream_findings", "upstream_settings", _findings),)
