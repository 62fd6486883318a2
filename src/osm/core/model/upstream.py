"""Limits of what goes to a service: on the callers' side, and on the side of what is called."""

from collections.abc import Iterable

import msgspec

from osm.core.model.access import AccessRule
from osm.core.model.global_limit import GlobalHttpLimit, GlobalTcpLimit
from osm.core.model.origin import Origin

NO_LIMIT = 2**32 - 1
"""Envoy counts in 32 bits."""
ANY_PATH = ".*"


class ConnectionLimits(msgspec.Struct, frozen=True, order=True, gc=False):
    """What one caller's proxy does at most towards a service. What is above a limit fails at once."""

    connections: int = NO_LIMIT
    pending_requests: int = NO_LIMIT
    requests: int = NO_LIMIT
    retries: int = NO_LIMIT
    requests_per_connection: int = 0
    """0: no limit."""
    connect_timeout_ns: int = 0
    """0: the proxy's default."""


class Rate(msgspec.Struct, frozen=True, order=True, gc=False):
    """So many in each period, and once `burst` more. Each proxy counts for itself."""

    count: int
    period_s: int
    burst: int


class HttpLimit(msgspec.Struct, frozen=True, order=True, gc=False):
    """How many requests are let in, and what is answered to the others."""

    rate: Rate
    status: int
    headers: tuple[tuple[str, str], ...]
    origin: Origin


class RouteLimit(msgspec.Struct, frozen=True, gc=False):
    """The limits of requests whose path fits; what is None is as the host's limits say. `path` is a
    regex, as an access rule has it.
    """

    path: str
    limit: HttpLimit | None = None
    everywhere: GlobalHttpLimit | None = None


class UpstreamLimits(msgspec.Struct, frozen=True, gc=False):
    """All limits of one service, from one object."""

    origin: Origin
    connections: ConnectionLimits | None = None
    tcp: Rate | None = None
    """Connections that a workload's proxy lets in."""
    http: HttpLimit | None = None
    routes: tuple[RouteLimit, ...] = ()
    """In the order written, but what fits every path last."""
    tcp_everywhere: GlobalTcpLimit | None = None
    http_everywhere: GlobalHttpLimit | None = None

    @property
    def asked(self) -> tuple[GlobalTcpLimit | GlobalHttpLimit, ...]:
        """The limits that a server keeps for all proxies."""
        limits = (self.tcp_everywhere, self.http_everywhere, *(r.everywhere for r in self.routes))
        return tuple(limit for limit in limits if limit is not None)


def limited_paths(rules: Iterable[AccessRule], *, permissive: bool) -> frozenset[str]:
    """The paths that a route limit may have: those of access rules; any path in permissive mode."""
    if permissive:
        return frozenset({ANY_PATH})
    return frozenset(
        rule.http.path.value if rule.http.path else ANY_PATH for rule in rules if rule.http
    )
