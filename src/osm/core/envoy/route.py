"""Outbound routes: filled on demand, one virtual host for each authority that the application uses."""

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.type.matcher.v3 import regex_pb2, string_pb2
from osm.core.envoy.duration import nanoseconds
from osm.core.envoy.filters.discovery_replies import (
    NO_RULE,
    NO_RULE_BODY,
    UNKNOWN_HOST,
    UNKNOWN_HOST_BODY,
    reason,
)
from osm.core.envoy.filters.egress_ranges import only_to
from osm.core.envoy.filters.extension import text_format
from osm.core.envoy.filters.undelivered import UNDELIVERED, safe_retries
from osm.core.envoy.names import METADATA
from osm.core.envoy.tls import ads_source
from osm.core.model.origin import Origin, mesh_config_origin
from osm.core.model.retry import RetryPolicy
from osm.core.model.route import HeaderFilter, HttpMatch, PathMatch, ValueMatch

RBAC_FILTER = "envoy.filters.http.rbac"
NO_TIMEOUT = Duration()

MESH_WIDE_EGRESS = mesh_config_origin("spec.traffic.enableEgress")


class OutboundRoutes(msgspec.Struct, frozen=True, gc=False):
    """Routes whose virtual hosts are asked for when an application first uses them."""

    name: str


class OutboundRule(msgspec.Struct, frozen=True, gc=False):
    """One rule with the clusters that its backends are."""

    clusters: tuple[tuple[str, int], ...]
    origin: Origin
    matches: tuple[HttpMatch, ...] = ()
    filters: tuple[HeaderFilter, ...] = ()
    timeout_ms: int = 0
    retry: RetryPolicy | None = None
    """None: only what can do no harm is tried again."""
    ranges: tuple[str, ...] = ()
    """Only requests on connections to these addresses; empty: whatever the address."""


class OutboundHost(msgspec.Struct, frozen=True, gc=False):
    """One service port, under all the authorities that applications write for it.

    `name` and each of `aliases`, the names that it is asked for by, are
    `<route configuration>/<authority>`.
    """

    name: str
    domains: tuple[str, ...]
    aliases: tuple[str, ...]
    rules: tuple[OutboundRule, ...]


class UnknownHosts(msgspec.Struct, frozen=True, gc=False):
    """All authorities that no other virtual host of a route configuration has.

    With it a proxy asks for no name any more: it must hold every virtual host that there is.
    `name` is `<route configuration>/*`. With mesh-wide egress they go to `cluster`.
    """

    name: str
    cluster: str = ""


def build_outbound_routes(value: OutboundRoutes) -> route_pb2.RouteConfiguration:
    """Build a route configuration whose virtual hosts are asked for on demand."""
    source = ads_source()
    # Envoy asks for virtual hosts before there is one to ask for, and would wait for an answer.
    source.initial_fetch_timeout.CopyFrom(Duration(nanos=10_000_000))
    return route_pb2.RouteConfiguration(
        name=value.name,
        vhds=route_pb2.Vhds(config_source=source),
        validate_clusters=BoolValue(value=False),
    )


def build_outbound_host(value: OutboundHost) -> route_components_pb2.VirtualHost:
    """Build the virtual host of one service port, with its rules in order."""
    host = route_components_pb2.VirtualHost(
        name=value.name,
        domains=value.domains,
        response_headers_to_remove=[UNDELIVERED],
        routes=[
            _outbound_route(rule, match)
            for rule in value.rules
            for match in (rule.matches or (HttpMatch(),))
        ],
    )
    if all(rule.matches and HttpMatch() not in rule.matches for rule in value.rules):
        host.routes.append(_no_rule())
    return host


def _no_rule() -> route_components_pb2.Route:
    """Without a route Envoy would take the virtual host for one that is not there, and ask for it."""
    route = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/"),
        response_headers_to_add=[reason(NO_RULE)],
    )
    route.direct_response.status = 404
    route.direct_response.body_format.CopyFrom(text_format(NO_RULE_BODY))
    return route


def build_unknown_hosts(value: UnknownHosts) -> route_components_pb2.VirtualHost:
    """Build the virtual host that answers 404 for every authority that the mesh does not know, or
    lets requests go where they were going.
    """
    if value.cluster:
        route = _outbound_route(OutboundRule(((value.cluster, 1),), MESH_WIDE_EGRESS), HttpMatch())
        return route_components_pb2.VirtualHost(name=value.name, domains=["*"], routes=[route])
    route = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/"),
        response_headers_to_add=[reason(UNKNOWN_HOST)],
    )
    route.direct_response.status = 404
    route.direct_response.body_format.CopyFrom(text_format(UNKNOWN_HOST_BODY))
    return route_components_pb2.VirtualHost(name=value.name, domains=["*"], routes=[route])


def _outbound_route(rule: OutboundRule, match: HttpMatch) -> route_components_pb2.Route:
    origins = {"origin": rule.origin} | ({"retry": rule.retry.origin} if rule.retry else {})
    route = route_components_pb2.Route(match=_match(match), metadata=_origin_metadata(origins))
    weighted = [(name, weight) for name, weight in rule.clusters if weight > 0]
    if not weighted:
        route.direct_response.status = 503
        route.direct_response.body.inline_string = f"no backend takes this request: {rule.origin}\n"
        return route
    action = route_components_pb2.RouteAction(
        timeout=Duration(seconds=rule.timeout_ms // 1000, nanos=rule.timeout_ms % 1000 * 1_000_000),
        # The time limit of idle streams is for those that wait for discovery: they have no route yet.
        idle_timeout=NO_TIMEOUT,
        retry_policy=_retry_policy(rule.retry),
    )
    if len(weighted) == 1:
        action.cluster = weighted[0][0]
    else:
        for name, weight in weighted:
            action.weighted_clusters.clusters.add(name=name, weight=UInt32Value(value=weight))
    route.route.CopyFrom(action)
    if rule.ranges:
        route.typed_per_filter_config[RBAC_FILTER].Pack(only_to(rule.ranges), deterministic=True)
    for header_filter in rule.filters:
        _apply_header_filter(route, header_filter)
    return route


def _retry_policy(policy: RetryPolicy | None) -> route_components_pb2.RetryPolicy:
    if policy is None:
        return safe_retries()
    out = route_components_pb2.RetryPolicy(
        retry_on=",".join(policy.conditions), num_retries=UInt32Value(value=policy.retries)
    )
    if policy.try_timeout_ns:
        out.per_try_timeout.CopyFrom(nanoseconds(policy.try_timeout_ns))
    out.retry_back_off.base_interval.CopyFrom(nanoseconds(policy.pause_ns))
    return out


def _match(match: HttpMatch) -> route_components_pb2.RouteMatch:
    out = route_components_pb2.RouteMatch()
    set_path(out, match.path)
    if match.methods:
        out.headers.add(name=":method", string_match=_regex_match("|".join(match.methods)))
    for header in match.headers:
        out.headers.add(name=header.name, string_match=_string_match(header))
    for parameter in match.query:
        out.query_parameters.add(name=parameter.name, string_match=_string_match(parameter))
    return out


def set_path(out: route_components_pb2.RouteMatch, path: PathMatch | None) -> None:
    """Match this path; without one every path."""
    match path:
        case None:
            out.prefix = "/"
        case PathMatch("exact", value):
            out.path = value
        case PathMatch("prefix", value) if value.rstrip("/"):
            out.path_separated_prefix = value.rstrip("/")
        case PathMatch("prefix", _):
            out.prefix = "/"
        case PathMatch(_, value):
            out.safe_regex.CopyFrom(regex_pb2.RegexMatcher(regex=value))


def _string_match(match: ValueMatch) -> string_pb2.StringMatcher:
    if match.kind == "exact":
        return string_pb2.StringMatcher(exact=match.value)
    return _regex_match(match.value)


def _regex_match(regex: str) -> string_pb2.StringMatcher:
    if not regex:  # Envoy refuses an empty one, which fits nothing but an empty value.
        return string_pb2.StringMatcher(exact="")
    return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=regex))


def _apply_header_filter(route: route_components_pb2.Route, value: HeaderFilter) -> None:
    overwrite = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    append = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    added = route.response_headers_to_add if value.response else route.request_headers_to_add
    removed = (
        route.response_headers_to_remove if value.response else route.request_headers_to_remove
    )
    for pairs, action in ((value.set, overwrite), (value.add, append)):
        for name, text in pairs:
            # Envoy expands %COMMANDS% in header values; what a user wrote is only text.
            escaped = text.replace("%", "%%")
            added.add(header=base_pb2.HeaderValue(key=name, value=escaped), append_action=action)
    removed.extend(value.remove)


def _origin_metadata(origins: dict[str, Origin]) -> base_pb2.Metadata:
    fields = {name: Value(string_value=str(origin)) for name, origin in origins.items()}
    return base_pb2.Metadata(filter_metadata={METADATA: Struct(fields=fields)})
