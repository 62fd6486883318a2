"""Front end: UpstreamTrafficSetting becomes the limits of a service (`reference/osm.md` §7.8)."""

from collections.abc import Iterable

from osm.core.api.duration import parse_duration
from osm.core.api.manifest import Key
from osm.core.api.policy import Egress
from osm.core.api.rate_limit import LocalHttpLimit, RouteRateLimit
from osm.core.api.upstream_traffic import (
    ConnectionSettings,
    HttpConnectionSettings,
    TcpConnectionSettings,
    UpstreamTrafficSetting,
    UpstreamTrafficSettingSpec,
)
from osm.core.compile import global_limits
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import oldest
from osm.core.compile.tables import Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.groups import POLICY
from osm.core.model.origin import Origin
from osm.core.model.route import Route
from osm.core.model.service import PortName, ServiceName
from osm.core.model.upstream import (
    ANY_PATH,
    ConnectionLimits,
    HttpLimit,
    Rate,
    RouteLimit,
    UpstreamLimits,
)

SECONDS = {"second": 1, "minute": 60, "hour": 3600}
SUFFIX = ".svc.cluster.local"


def service_of(
    tables: Tables, key: Key, setting: Written[UpstreamTrafficSetting]
) -> ServiceName | None:
    """The service of the object's own namespace that its host is the full name of."""
    if not is_meshed(tables, key.namespace):
        return None
    host = setting.object.spec.host
    match host.removesuffix(SUFFIX).split("."):
        case [service, namespace] if host.endswith(SUFFIX) and namespace == key.namespace:
            return ServiceName(namespace, service)
        case [pod, service, namespace] if host.endswith(SUFFIX) and namespace == key.namespace:
            return ServiceName(namespace, service, pod)
    return None


def _limits(tables: Tables, _: ServiceName, keys: tuple[Key, ...]) -> UpstreamLimits | None:
    key = oldest(tables.upstream_settings, keys)
    if key is None:
        return None
    spec = tables.upstream_settings[key].object.spec
    local = spec.rate_limit.local if spec.rate_limit else None
    everywhere = spec.rate_limit.global_ if spec.rate_limit else None
    tcp = local.tcp if local else None
    tcp_field, http_field = "spec.rateLimit.global.tcp", "spec.rateLimit.global.http"
    return UpstreamLimits(
        origin=origin_of(key, "spec"),
        connections=connection_limits(spec.connection_settings),
        tcp=Rate(tcp.connections, SECONDS[tcp.unit], tcp.burst) if tcp else None,
        http=_http(local.http, origin_of(key, "spec.rateLimit.local.http"))
        if local and local.http
        else None,
        routes=_routes(key, spec),
        tcp_everywhere=global_limits.tcp_limit(
            everywhere.tcp, key.namespace, origin_of(key, tcp_field)
        )
        if everywhere and everywhere.tcp
        else None,
        http_everywhere=global_limits.http_limit(
            everywhere.http,
            everywhere.http.descriptors,
            key.namespace,
            origin_of(key, http_field),
        )
        if everywhere and everywhere.http
        else None,
    )


def connection_limits(settings: ConnectionSettings | None) -> ConnectionLimits | None:
    """What connection settings limit."""
    if settings is None:
        return None
    tcp = settings.tcp or TcpConnectionSettings()
    http = settings.http or HttpConnectionSettings()
    return ConnectionLimits(
        connections=tcp.max_connections,
        pending_requests=http.max_pending_requests,
        requests=http.max_requests,
        retries=http.max_retries,
        requests_per_connection=http.max_requests_per_connection,
        connect_timeout_ns=parse_duration(tcp.connect_timeout) if tcp.connect_timeout else 0,
    )


def _http(limit: LocalHttpLimit, origin: Origin) -> HttpLimit:
    # Of two headers with one name the last counts, as everywhere in this object.
    headers = {header.name.lower(): header.value for header in limit.response_headers_to_add}
    return HttpLimit(
        Rate(limit.requests, SECONDS[limit.unit], limit.burst),
        limit.response_status_code,
        tuple(sorted(headers.items())),
        origin,
    )


def _routes(key: Key, spec: UpstreamTrafficSettingSpec) -> tuple[RouteLimit, ...]:
    found = {
        route.path: _route(key, f"spec.httpRoutes[{index}].rateLimit", route.path, limit, spec)
        for index, route in enumerate(spec.http_routes)
        if (limit := route.rate_limit) is not None
    }
    limiting = [route for route in found.values() if route.limit or route.everywhere]
    # What fits everything would leave the others without requests.
    return tuple(sorted(limiting, key=lambda route: route.path == ANY_PATH))


def _route(
    key: Key, field: str, path: str, limit: RouteRateLimit, spec: UpstreamTrafficSettingSpec
) -> RouteLimit:
    """Which server is asked, the settings of the host say."""
    everywhere = spec.rate_limit.global_ if spec.rate_limit else None
    return RouteLimit(
        path,
        _http(limit.local, origin_of(key, f"{field}.local")) if limit.local else None,
        global_limits.http_limit(
            everywhere.http,
            limit.global_.descriptors,
            key.namespace,
            origin_of(key, f"{field}.global"),
        )
        if limit.global_ and everywhere and everywhere.http
        else None,
    )


def _egresses(key: Key, egress: Written[Egress]) -> Iterable[Key]:
    """The settings that an Egress names."""
    return {
        Key(POLICY, reference.kind, key.namespace, reference.name)
        for reference in egress.object.spec.matches
        if reference.kind == "UpstreamTrafficSetting"
    }


def _roots(_: PortName, route: Route) -> Iterable[PortName]:
    """The service ports whose traffic a split gives to a service port, which is not among them."""
    backends = {backend.port for rule in route.rules for backend in rule.backends}
    return backends - {route.port}


def origin_of(key: Key, field: str) -> Origin:
    """A field of a setting."""
    return Origin("UpstreamTrafficSetting", key.namespace, key.name, field, POLICY)


STAGES: tuple[Stage, ...] = (
    Derive("upstream_hosts", "upstream_settings", service_of),
    Group("upstreams_of", "upstream_hosts", lambda _, service: (service,)),
    Derive("upstreams", "upstreams_of", _limits),
    Group("roots_of", "routes", _roots),
    Group("egresses_of", "egress_objects", _egresses),
)
