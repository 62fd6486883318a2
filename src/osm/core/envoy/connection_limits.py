"""Limits of the connections that a port lets in: a proxy's own, and one that a server keeps."""

import msgspec

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm.core.envoy.filters.global_rate_limit import AskedConnections, tcp_global_limit
from osm.core.envoy.filters.rate_limit import tcp_rate_limit
from osm.core.model.upstream import Rate


class ConnectionRate(msgspec.Struct, frozen=True, order=True, gc=False):
    """How many connections a port lets in, and what stats call that."""

    rate: Rate
    stat_prefix: str


class ConnectionLimits(msgspec.Struct, frozen=True, order=True, gc=False):
    """All of a port."""

    own: ConnectionRate | None = None
    everywhere: AskedConnections | None = None


def limit_connections(limits: ConnectionLimits) -> list[listener_components_pb2.Filter]:
    """The proxy's own limit comes first: what it refuses uses nothing up."""
    own, everywhere = limits.own, limits.everywhere
    return [
        *([tcp_rate_limit(own.stat_prefix, own.rate)] if own else []),
        *([tcp_global_limit(everywhere)] if everywhere else []),
    ]
