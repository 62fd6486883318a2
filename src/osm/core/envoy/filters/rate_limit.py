"""Limits that a proxy keeps for itself: of requests, by host and route, and of connections.

The HTTP filter is off but for the routes that carry a limit, so the others do not pay for it.
"""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.http.local_ratelimit.v3 import (
    local_rate_limit_pb2 as http_pb2,
)
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.local_ratelimit.v3 import (
    local_rate_limit_pb2 as network_pb2,
)
from osm._envoy.envoy.type.v3 import http_status_pb2, percent_pb2, token_bucket_pb2
from osm.core.envoy.filters.extension import http_filter, network_filter
from osm.core.model.origin import Origin
from osm.core.model.upstream import HttpLimit, Rate

RATE_LIMIT_FILTER = "envoy.filters.http.local_ratelimit"
LIMITED_HEADER = "x-osm-limited"
"""In the answer to a request that was one too many: which object set the limit."""
_STATISTICS = "http_local_rate_limiter"


def http_rate_limit() -> http_connection_manager_pb2.HttpFilter:
    """Enforce the limits that hosts and routes carry."""
    out = http_filter(RATE_LIMIT_FILTER, http_pb2.LocalRateLimit(stat_prefix=_STATISTICS))
    out.disabled = True
    return out


def http_rate_limit_per_route(limit: HttpLimit) -> http_pb2.LocalRateLimit:
    """The limit of one host or route."""
    return http_pb2.LocalRateLimit(
        stat_prefix=_STATISTICS,
        status=http_status_pb2.HttpStatus(code=limit.status),  # type: ignore[arg-type]
        token_bucket=_bucket(limit.rate),
        filter_enabled=_always("osm.http_rate_limit_enabled"),
        filter_enforced=_always("osm.http_rate_limit_enforced"),
        response_headers_to_add=[
            *(_header(name, text) for name, text in limit.headers),
            limited_header(limit.origin),
        ],
        # As gRPC's own limits say it; Envoy's default is UNAVAILABLE.
        rate_limited_as_resource_exhausted=True,
    )


def limited_header(origin: Origin) -> base_pb2.HeaderValueOption:
    """Says which limit it was."""
    return _header(LIMITED_HEADER, str(origin))


def tcp_rate_limit(stat_prefix: str, rate: Rate) -> listener_components_pb2.Filter:
    """Close connections that are too many, before TLS."""
    config = network_pb2.LocalRateLimit(stat_prefix=stat_prefix, token_bucket=_bucket(rate))
    return network_filter("envoy.filters.network.local_ratelimit", config)


def _bucket(rate: Rate) -> token_bucket_pb2.TokenBucket:
    return token_bucket_pb2.TokenBucket(
        max_tokens=rate.count + rate.burst,
        tokens_per_fill=UInt32Value(value=rate.count),
        fill_interval=Duration(seconds=rate.period_s),
    )


def _always(key: str) -> base_pb2.RuntimeFractionalPercent:
    return base_pb2.RuntimeFractionalPercent(
        runtime_key=key, default_value=percent_pb2.FractionalPercent(numerator=100)
    )


def _header(name: str, text: str) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        # Envoy expands %COMMANDS% in header values; what a user wrote is only text.
        header=base_pb2.HeaderValue(key=name, value=text.replace("%", "%%")),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
