"""UpstreamTrafficSetting as people write it: limits of the connections and requests to a host.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).
"""

from typing import Annotated

from osm.core.api.hosts import QualifiedHost
from osm.core.api.limits import GREATEST_COUNT, Count, FilledRegex, Items, OptionalDuration
from osm.core.api.metadata import MeshStruct, Metadata
from osm.core.api.rate_limit import RateLimit, RouteRateLimit
from osm.core.api.scalars import checked


class TcpConnectionSettings(MeshStruct, frozen=True):
    """Connections that one proxy makes.

    max_connections: How many at a time. The default is no limit.
    connect_timeout: How long a connection may take to be made, such as `5s`.
    """

    max_connections: Count = GREATEST_COUNT
    connect_timeout: OptionalDuration = ""


class HttpConnectionSettings(MeshStruct, frozen=True):
    """HTTP requests that one proxy sends. What is above a limit is answered with 503.

    max_requests: How many at a time. The default is no limit.
    max_requests_per_connection: How many on one connection; 0 is no limit.
    max_pending_requests: How many may wait for a connection. The default is no limit.
    max_retries: How many may be retried at a time. The default is no limit.
    """

    max_requests: Count = GREATEST_COUNT
    max_requests_per_connection: Count = 0
    max_pending_requests: Count = GREATEST_COUNT
    max_retries: Count = GREATEST_COUNT


class ConnectionSettings(MeshStruct, frozen=True):
    """Limits on the side of the caller.

    tcp: Limits of connections.
    http: Limits of HTTP requests.
    """

    tcp: TcpConnectionSettings | None = None
    http: HttpConnectionSettings | None = None


class HttpRouteSetting(MeshStruct, frozen=True):
    """Settings of one route.

    path: The `pathRegex` of the route, letter by letter; `.*` in permissive mode.
    rate_limit: Limits of its requests.
    """

    path: FilledRegex
    rate_limit: RouteRateLimit | None = None


class UpstreamTrafficSettingSpec(MeshStruct, frozen=True):
    """Limits of what goes to one host.

    host: A service by its full name such as `bookstore.shop.svc.cluster.local`, or the host of an
        Egress that names this object.
    connection_settings: Limits on the side of the caller.
    rate_limit: Limits on the side of the server that is called.
    http_routes: Limits of single routes.
    """

    host: QualifiedHost
    connection_settings: ConnectionSettings | None = None
    rate_limit: RateLimit | None = None
    http_routes: Annotated[tuple[HttpRouteSetting, ...], checked(Items())] = ()


class UpstreamTrafficSetting(MeshStruct, frozen=True):
    """Limits of the connections and requests to a host.

    spec: What this object says.
    """

    metadata: Metadata
    spec: UpstreamTrafficSettingSpec
