"""Asks a server that counts for all proxies: about requests, by host and route, and connections."""

import msgspec
from google.protobuf.wrappers_pb2 import BoolValue

from osm._envoy.envoy.config.core.v3 import config_source_pb2, extension_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.config.ratelimit.v3 import rls_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.common.matching.v3 import extension_matcher_pb2
from osm._envoy.envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
from osm._envoy.envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2 as http_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.ratelimit.v3 import rate_limit_pb2 as network_pb2
from osm._envoy.envoy.extensions.rate_limit_descriptors.expr.v3 import expr_pb2
from osm._envoy.envoy.type.matcher.v3 import regex_pb2, string_pb2
from osm._envoy.envoy.type.v3 import http_status_pb2
from osm.core.envoy.duration import nanoseconds
from osm.core.envoy.filters.by_route import brought, place_for
from osm.core.envoy.filters.extension import grpc_service, network_filter
from osm.core.envoy.filters.rate_limit import limited_header
from osm.core.model.extension import ExtensionServer
from osm.core.model.global_limit import (
    CallerEntry,
    Entry,
    FixedEntry,
    GlobalHttpLimit,
    GlobalTcpLimit,
    HeaderCondition,
    HeaderEntry,
)

GLOBAL_LIMIT = "osm.global_rate_limit"
CALLER_KEY = "remote_address"

_Action = route_components_pb2.RateLimit.Action


class AskedLimit(msgspec.Struct, frozen=True, gc=False):
    """A limit of requests, and the cluster that its server is reached by.

    `by_identity`: connections have no addresses, and callers are told apart by their identities.
    """

    limit: GlobalHttpLimit
    cluster: str
    by_identity: bool = False


class AskedConnections(msgspec.Struct, frozen=True, order=True, gc=False):
    """A limit of connections, the cluster of its server, and what stats call it."""

    limit: GlobalTcpLimit
    cluster: str
    stat_prefix: str


def http_global_limit() -> http_connection_manager_pb2.HttpFilter:
    """Where the server is asked, if routes say so."""
    return place_for(GLOBAL_LIMIT)


def ask_limit(value: AskedLimit) -> extension_matcher_pb2.ExtensionWithMatcherPerRoute:
    """What a host or route says to have its server asked."""
    limit = value.limit
    config = http_pb2.RateLimit(
        domain=limit.domain,
        timeout=nanoseconds(limit.timeout_ns),
        failure_mode_deny=not limit.fail_open,
        rate_limit_service=_service(limit.server, value.cluster),
        rate_limited_status=http_status_pb2.HttpStatus(code=limit.status),  # type: ignore[arg-type]
        # As gRPC's own limits say it; Envoy's default is UNAVAILABLE.
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=[limited_header(limit.origin)],
        enable_x_ratelimit_headers=http_pb2.RateLimit.DRAFT_VERSION_03
        if limit.tells_rest
        else http_pb2.RateLimit.OFF,
        rate_limits=[
            route_components_pb2.RateLimit(
                actions=[_action(entry, by_identity=value.by_identity) for entry in descriptor]
            )
            for descriptor in limit.descriptors
        ],
    )
    return brought("envoy.filters.http.ratelimit", config)


def tcp_global_limit(value: AskedConnections) -> listener_components_pb2.Filter:
    """Ask about each connection, before TLS; close those that are too many."""
    limit = value.limit
    config = network_pb2.RateLimit(
        stat_prefix=value.stat_prefix,
        domain=limit.domain,
        descriptors=[
            ratelimit_pb2.RateLimitDescriptor(
                entries=[
                    ratelimit_pb2.RateLimitDescriptor.Entry(key=key, value=text)
                    # Envoy expands %COMMANDS% here; what a user wrote is only text.
                    for key, text in ((key, text.replace("%", "%%")) for key, text in descriptor)
                ]
            )
            for descriptor in limit.descriptors
        ],
        timeout=nanoseconds(limit.timeout_ns),
        failure_mode_deny=not limit.fail_open,
        rate_limit_service=_service(limit.server, value.cluster),
    )
    return network_filter("envoy.filters.network.ratelimit", config)


def _service(server: ExtensionServer, cluster: str) -> rls_pb2.RateLimitServiceConfig:
    return rls_pb2.RateLimitServiceConfig(
        grpc_service=grpc_service(server, cluster),
        transport_api_version=config_source_pb2.ApiVersion.V3,
    )


def _action(entry: Entry, *, by_identity: bool) -> _Action:
    match entry:
        case FixedEntry(key, value):
            return _Action(
                generic_key=_Action.GenericKey(descriptor_key=key, descriptor_value=value)
            )
        case HeaderEntry(key, header):
            return _Action(
                request_headers=_Action.RequestHeaders(descriptor_key=key, header_name=header)
            )
        case CallerEntry():
            if by_identity:
                return _Action(extension=_identity())
            return _Action(remote_address=_Action.RemoteAddress())
    return _Action(
        header_value_match=_Action.HeaderValueMatch(
            descriptor_key=entry.key,
            descriptor_value=entry.value,
            expect_match=BoolValue(value=entry.expected),
            headers=[_condition(condition) for condition in entry.conditions],
        )
    )


def _identity() -> extension_pb2.TypedExtensionConfig:
    """The URI of the caller's certificate."""
    text = "connection.uri_san_peer_certificate"
    config = extension_pb2.TypedExtensionConfig(name="envoy.rate_limit_descriptors.expr")
    config.typed_config.Pack(
        expr_pb2.Descriptor(descriptor_key=CALLER_KEY, text=text), deterministic=True
    )
    return config


def _condition(condition: HeaderCondition) -> route_components_pb2.HeaderMatcher:
    matcher = route_components_pb2.HeaderMatcher(name=condition.name)
    value = condition.value
    match condition.kind:
        case "present" | "absent":
            matcher.present_match = condition.kind == "present"
        case "exact":
            matcher.string_match.exact = value
        case "prefix":
            matcher.string_match.prefix = value
        case "suffix":
            matcher.string_match.suffix = value
        case "contains":
            matcher.string_match.contains = value
        case _:
            regex = regex_pb2.RegexMatcher(regex=value)
            matcher.string_match.CopyFrom(string_pb2.StringMatcher(safe_regex=regex))
    return matcher
