"""What the filters of a chain do with a connection, and with the requests on it."""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from google.protobuf.any_pb2 import Any

from osm._envoy.envoy.config.core.v3 import extension_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.extensions.common.matching.v3 import extension_matcher_pb2
from osm._envoy.envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from osm._envoy.envoy.extensions.filters.http.health_check.v3 import health_check_pb2
from osm._envoy.envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.http.set_filter_state.v3 import (
    set_filter_state_pb2 as http_state_pb2,
)
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm._envoy.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2,
)
from osm.core.explain.simulation.access import refusal
from osm.core.explain.simulation.answer import Answer, NotSimulated, ends
from osm.core.explain.simulation.call import Connection, Request
from osm.core.explain.simulation.listeners import Chain
from osm.core.explain.simulation.matchers import Seen, text_fits
from osm.core.explain.simulation.paths import has_hidden_slash, is_no_path, normalised
from osm.core.explain.simulation.routes import VirtualHost, host_for, route_for
from osm.core.explain.simulation.sent import Sent
from osm.core.explain.simulation.unpack import INDIFFERENT, is_a, type_url, unpacked

Manager = http_connection_manager_pb2.HttpConnectionManager
_CLUSTER_STATE = "envoy.tcp_proxy.cluster"


class ToClusters(Protocol):
    """What becomes of a connection, or of a request on it, that goes to weighted clusters."""

    def __call__(
        self,
        clusters: list[tuple[str, int]],
        connection: Connection,
        request: Request | None,
        *,
        on_demand: bool,
    ) -> Answer: ...


class WayOn(msgspec.Struct, frozen=True):
    """The proxy in which a chain is, and what goes on from it to clusters."""

    sent: Sent
    proxy: str
    to_clusters: ToClusters


def through_chain(
    way: WayOn, chain: Chain, connection: Connection, request: Request | None
) -> Answer:
    """From the first filter on."""
    state: dict[str, str] = {}
    for each in chain.filters:
        config = _config(way, each)
        if config is None:
            return ends("closed", reason=f"filter {each.name} has no configuration")
        end = _through_filter(way, config, connection, request, state)
        if end is not None:
            return end
    raise NotSimulated("the simulation does not know a chain that ends without a proxy")


def _through_filter(
    way: WayOn, config: Any, connection: Connection, request: Request | None, state: dict[str, str]
) -> Answer | None:
    """What ends here; None: the next filter has it."""
    if is_a(config, set_filter_state_pb2.Config):
        for value in unpacked(config, set_filter_state_pb2.Config).on_new_connection:
            state[value.object_key] = _formatted(value, connection, None)
        return None
    if is_a(config, network_rbac_pb2.RBAC):
        seen = Seen(connection, state=state, is_open=way.sent.is_open(way.proxy))
        reason = refusal(unpacked(config, network_rbac_pb2.RBAC), seen)
        return ends("denied", place=way.proxy, reason=reason) if reason else None
    if is_a(config, tcp_proxy_pb2.TcpProxy):
        if request is not None and _is_from_proxy(connection):
            return ends("wrong protocol", status=503, reason="HTTP between proxies, TCP here")
        return _tcp(way, unpacked(config, tcp_proxy_pb2.TcpProxy), connection, state)
    if is_a(config, Manager):
        if request is None:
            status = 0 if _is_from_proxy(connection) else 400
            return ends("wrong protocol", status=status, reason="these bytes are no HTTP")
        return _http(way, unpacked(config, Manager), connection, request)
    if config.type_url not in INDIFFERENT:
        raise NotSimulated(f"the simulation does not know the filter {config.type_url}")
    return None


def _is_from_proxy(connection: Connection) -> bool:
    """The mesh's proxies speak HTTP/2 to each other, which no application expects on a TCP port."""
    return connection.peer is not None


def _config(way: WayOn, each: listener_components_pb2.Filter) -> Any | None:
    if each.WhichOneof("config_type") != "config_discovery":
        return each.typed_config
    found = way.sent.get(way.proxy, extension_pb2.TypedExtensionConfig, each.name)
    if found is None or found.typed_config.type_url not in each.config_discovery.type_urls:
        return None
    return found.typed_config


def _formatted(
    value: value_pb2.FilterStateValue, connection: Connection, request: Request | None
) -> str:
    text = value.format_string.text_format_source.inline_string
    if text == "%DOWNSTREAM_LOCAL_ADDRESS%":
        return f"{connection.ip}:{connection.port}"
    if text == "%PATH(NQ:PATH)%" and request is not None:
        return request.path
    raise NotSimulated(f"the simulation does not know the text {text}")


def _tcp(
    way: WayOn, proxy: tcp_proxy_pb2.TcpProxy, connection: Connection, state: Mapping[str, str]
) -> Answer:
    if proxy.WhichOneof("cluster_specifier") == "weighted_clusters":
        clusters = [(each.name, each.weight) for each in proxy.weighted_clusters.clusters]
    else:
        clusters = [(state.get(_CLUSTER_STATE) or proxy.cluster, 1)]
    return way.to_clusters(clusters, connection, None, on_demand=proxy.HasField("on_demand"))


# --- HTTP


def _http(way: WayOn, manager: Manager, connection: Connection, request: Request) -> Answer:
    connection = _from_whom(manager, connection, request)
    request = _without_headers(manager, request)
    answered = _about_path(manager, request)
    if answered is not None:
        return answered
    _, question, query = request.target.partition("?")
    target = normalised(request.path) + question + query
    request = msgspec.structs.replace(request, target=target)
    on_demand = any(
        is_a(each.typed_config, on_demand_pb2.OnDemand) for each in manager.http_filters
    )
    routes = way.sent.get(way.proxy, route_pb2.RouteConfiguration, manager.rds.route_config_name)
    host = _host(way, routes, request.authority, on_demand=on_demand) if routes else None
    route = route_for(host, request) if host else None
    if _is_health_check(manager, request):
        return ends("direct response", status=200)
    if routes is None or host is None or route is None:
        return ends("no route", status=404)
    refused = _refused(way, manager, connection, request, (routes, host, route))
    if refused:
        return ends("denied", place=way.proxy, status=403, reason=refused)
    match route.WhichOneof("action"):
        case "direct_response":
            return ends("direct response", status=route.direct_response.status)
        case "route":
            clusters = _clusters(route.route)
            on_demand = _asks_for_clusters(manager)
            return way.to_clusters(clusters, connection, request, on_demand=on_demand)
    raise NotSimulated("the simulation does not know this kind of route")


def _from_whom(manager: Manager, connection: Connection, request: Request) -> Connection:
    """The connection with the address that the manager takes for the caller's.

    Without `use_remote_address` it believes the end of `x-forwarded-for`, unless it is told to leave
    out more addresses there than anybody has written.
    """
    if manager.use_remote_address.value:
        if manager.xff_num_trusted_hops:
            raise NotSimulated("the simulation does not know trusted hops before a remote address")
        return connection
    said = ",".join(request.lines("x-forwarded-for")).split(",")[
        : -manager.xff_num_trusted_hops or None
    ]
    claimed = said[-1].strip() if said else ""
    return msgspec.structs.replace(connection, source=claimed) if claimed else connection


def _about_path(manager: Manager, request: Request) -> Answer | None:
    """What is answered because of the path alone, before any route is looked for."""
    if not manager.normalize_path.value or not manager.merge_slashes:
        raise NotSimulated("the simulation does not know paths that are not normalised")
    if manager.path_with_escaped_slashes_action != Manager.UNESCAPE_AND_REDIRECT:
        raise NotSimulated("the simulation knows no other answer to hidden slashes than a redirect")
    if is_no_path(request.target):
        return ends("bad request", status=400, reason="the path")
    return ends("redirected", status=307) if has_hidden_slash(request.path) else None


def _without_headers(manager: Manager, request: Request) -> Request:
    """What is left of the headers after the manager's early mutations."""
    headers = request.headers
    for extension in manager.early_header_mutation_extensions:
        for each in unpacked(extension.typed_config, header_mutation_pb2.HeaderMutation).mutations:
            gone = each.remove_on_match.key_matcher
            headers = tuple((name, value) for name, value in headers if not text_fits(gone, name))
    return msgspec.structs.replace(request, headers=headers)


def _asks_for_clusters(manager: Manager) -> bool:
    return any(
        unpacked(each.typed_config, on_demand_pb2.OnDemand).HasField("odcds")
        for each in manager.http_filters
        if is_a(each.typed_config, on_demand_pb2.OnDemand)
    )


def _host(
    way: WayOn, routes: route_pb2.RouteConfiguration, authority: str, *, on_demand: bool
) -> VirtualHost | None:
    """Of those that are there, or by its name, `<routes>/<authority>`."""
    there = [*routes.virtual_hosts, *way.sent.hosts(way.proxy, routes.name)]
    found = host_for(there, authority)
    if found is not None or not on_demand or not routes.HasField("vhds"):
        return found
    name = f"{routes.name}/{authority.lower()}"
    asked = way.sent.get(way.proxy, route_components_pb2.VirtualHost, name)
    return host_for([asked], authority) if asked else None


Places = tuple[route_pb2.RouteConfiguration, VirtualHost, route_components_pb2.Route]


def _refused(
    way: WayOn, manager: Manager, connection: Connection, request: Request, places: Places
) -> str:
    """Why a filter before the router refuses the request; empty when none does."""
    state: dict[str, str] = {}
    for each in manager.http_filters:
        config = each.typed_config
        if is_a(config, http_state_pb2.Config):
            for value in unpacked(config, http_state_pb2.Config).on_request_headers:
                state[value.object_key] = _formatted(value, connection, request)
        elif is_a(config, http_rbac_pb2.RBAC):
            seen = Seen(connection, request, state, way.sent.is_open(way.proxy))
            own = unpacked(config, http_rbac_pb2.RBAC)
            reason = refusal(_most_particular(places, each.name) or own, seen)
            if reason:
                return reason
        elif config.type_url not in _OTHER_FILTERS:
            raise NotSimulated(f"the simulation does not know the filter {config.type_url}")
    return ""


_OTHER_FILTERS = {
    *INDIFFERENT,
    type_url(on_demand_pb2.OnDemand),
    # What routes bring is a limit or an authorizer: `check` has seen to that.
    type_url(extension_matcher_pb2.ExtensionWithMatcher),
    type_url(health_check_pb2.HealthCheck),
}


def _is_health_check(manager: Manager, request: Request) -> bool:
    """Whether a filter answers it by itself: it stands before those that refuse."""
    for each in manager.http_filters:
        if is_a(each.typed_config, health_check_pb2.HealthCheck):
            wanted = unpacked(each.typed_config, health_check_pb2.HealthCheck).headers
            return all(
                any(text_fits(header.string_match, line) for line in request.lines(header.name))
                for header in wanted
            )
    return False


def _most_particular(places: Places, name: str) -> http_rbac_pb2.RBAC | None:
    """The configuration of a filter by the route, else by its virtual host, else by all routes."""
    for place in reversed(places):
        if name in place.typed_per_filter_config:
            config = place.typed_per_filter_config[name]
            return unpacked(config, http_rbac_pb2.RBACPerRoute).rbac
    return None


def _clusters(action: route_components_pb2.RouteAction) -> list[tuple[str, int]]:
    if action.WhichOneof("cluster_specifier") == "weighted_clusters":
        return [(each.name, each.weight.value) for each in action.weighted_clusters.clusters]
    return [(action.cluster, 1)]
