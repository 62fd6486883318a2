"""Rate limits of an UpstreamTrafficSetting as people write them.

A line `field: …` in a docstring is what `kubectl explain` shows of it (`crd_schema`).
"""

from typing import Annotated, ClassVar

import msgspec

from osm.core.api.hosts import Host
from osm.core.api.limits import (
    Count,
    ErrorStatus,
    HeaderName,
    HeaderText,
    Items,
    PositiveCount,
    PositiveDuration,
    ResponseHeader,
    ShortText,
    check_filled_regex,
    check_header_value,
)
from osm.core.api.metadata import MeshStruct
from osm.core.api.scalars import PortNumber, checked, one_of

Unit = Annotated[str, checked(one_of("second", "minute", "hour"))]


class AddedHeader(MeshStruct, frozen=True):
    """A header that an answer gets. It replaces one of the same name.

    name: Name of the header.
    value: Value of the header; a percent sign stands for itself.
    """

    name: ResponseHeader
    value: HeaderText


class LocalTcpLimit(MeshStruct, frozen=True):
    """How many connections one proxy lets in.

    connections: How many in each unit of time.
    unit: `second`, `minute` or `hour`.
    burst: How many more at once.
    """

    connections: PositiveCount
    unit: Unit
    burst: Count = 0


class LocalHttpLimit(MeshStruct, frozen=True):
    """How many HTTP requests one proxy lets in.

    requests: How many in each unit of time.
    unit: `second`, `minute` or `hour`.
    burst: How many more at once.
    response_status_code: Status of the answer to the others.
    response_headers_to_add: Headers of the answer to the others.
    """

    requests: PositiveCount
    unit: Unit
    burst: Count = 0
    response_status_code: ErrorStatus = 429
    # Envoy takes ten, and one is ours: which object set the limit.
    response_headers_to_add: Annotated[tuple[AddedHeader, ...], checked(Items(at_most=9))] = ()


class LocalLimit(MeshStruct, frozen=True):
    """Limits that each proxy keeps for itself.

    tcp: Limit of connections.
    http: Limit of HTTP requests.
    """

    tcp: LocalTcpLimit | None = None
    http: LocalHttpLimit | None = None


class RateLimitService(MeshStruct, frozen=True):
    """A server of Envoy's rate limit API.

    host: Name or address of the server.
    port: Its port.
    """

    host: Host
    port: PortNumber


class TcpDescriptorEntry(MeshStruct, frozen=True):
    """A key and its value, as the server's configuration has them.

    key: The key.
    value: The value.
    """

    key: ShortText
    value: ShortText


class TcpDescriptor(MeshStruct, frozen=True):
    """What the server is asked about.

    entries: Keys and values, in the order of the server's configuration.
    """

    entries: Annotated[tuple[TcpDescriptorEntry, ...], checked(Items(1, 50))]


class GlobalTcpLimit(MeshStruct, frozen=True):
    """A limit of connections that a server keeps for all proxies.

    rate_limit_service: The server.
    domain: Domain of the server's configuration.
    descriptors: What the server is asked about.
    timeout: How long the server may take.
    fail_open: Whether connections are let in when the server does not answer.
    """

    rate_limit_service: RateLimitService
    domain: ShortText
    descriptors: Annotated[tuple[TcpDescriptor, ...], checked(Items(1, 50))]
    timeout: PositiveDuration = "20ms"
    fail_open: bool = True


class GenericKey(MeshStruct, frozen=True):
    """An entry that is the same for every request.

    value: Its value.
    key: Its key.
    """

    value: ShortText
    key: ShortText = "generic_key"


class RemoteAddress(MeshStruct, frozen=True):
    """An entry with the address of the caller; its key is `remote_address`."""


class RequestHeader(MeshStruct, frozen=True):
    """An entry with the value of a header. Without the header there is no limit.

    name: Name of the header.
    key: Key of the entry.
    """

    name: HeaderName
    key: ShortText


class HeaderMatcher(MeshStruct, frozen=True):
    """A header, and one condition.

    name: Name of the header.
    exact: It has this value.
    prefix: It begins like this.
    suffix: It ends like this.
    regex: This regular expression (RE2) fits the whole value.
    contains: This is a part of it.
    present: Whether it is there at all.
    """

    exactly_one_of: ClassVar[tuple[str, ...]] = (
        "exact",
        "prefix",
        "suffix",
        "regex",
        "contains",
        "present",
    )

    name: HeaderName
    exact: Annotated[str | None, checked(check_header_value)] = None
    prefix: Annotated[str | None, checked(check_header_value)] = None
    suffix: Annotated[str | None, checked(check_header_value)] = None
    regex: Annotated[str | None, checked(check_filled_regex)] = None
    contains: Annotated[str | None, checked(check_header_value)] = None
    present: bool | None = None


class HeaderValueMatch(MeshStruct, frozen=True):
    """An entry for requests whose headers fit.

    value: Value of the entry.
    headers: What the headers of the request must fulfil, all of it.
    key: Key of the entry.
    expect_match: False: the entry is for requests whose headers do not fit.
    """

    value: ShortText
    headers: Annotated[tuple[HeaderMatcher, ...], checked(Items(1, 50))]
    key: ShortText = "header_match"
    expect_match: bool = True


class HttpDescriptorEntry(MeshStruct, frozen=True):
    """What one part of a descriptor is taken from.

    generic_key: A fixed value.
    remote_address: The address of the caller.
    request_header: The value of a header.
    header_value_match: A fixed value, if the headers fit.
    """

    exactly_one_of: ClassVar[tuple[str, ...]] = (
        "generic_key",
        "remote_address",
        "request_header",
        "header_value_match",
    )

    generic_key: GenericKey | None = None
    remote_address: RemoteAddress | None = None
    request_header: RequestHeader | None = None
    header_value_match: HeaderValueMatch | None = None


class HttpDescriptor(MeshStruct, frozen=True):
    """What the server is asked about.

    entries: Its parts, in the order of the server's configuration.
    """

    entries: Annotated[tuple[HttpDescriptorEntry, ...], checked(Items(1, 50))]


class GlobalHttpLimit(MeshStruct, frozen=True):
    """A limit of HTTP requests that a server keeps for all proxies.

    rate_limit_service: The server.
    domain: Domain of the server's configuration.
    descriptors: What the server is asked about for every request.
    timeout: How long the server may take.
    fail_open: Whether requests are let in when the server does not answer.
    enable_x_rate_limit_headers: Whether answers tell what is left, in `x-ratelimit-*` headers.
    response_status_code: Status of the answer to requests that are refused.
    """

    rate_limit_service: RateLimitService
    domain: ShortText
    descriptors: Annotated[tuple[HttpDescriptor, ...], checked(Items(at_most=50))] = ()
    timeout: PositiveDuration = "20ms"
    fail_open: bool = True
    enable_x_rate_limit_headers: bool = msgspec.field(name="enableXRateLimitHeaders", default=False)
    response_status_code: ErrorStatus = 429


class GlobalLimit(MeshStruct, frozen=True):
    """Limits that a server keeps for all proxies.

    tcp: Limit of connections.
    http: Limit of HTTP requests.
    """

    tcp: GlobalTcpLimit | None = None
    http: GlobalHttpLimit | None = None


class RateLimit(MeshStruct, frozen=True):
    """Limits on the side of the server that is called.

    local: Limits that each proxy keeps for itself.
    global_: Limits that a server keeps for all proxies.
    """

    local: LocalLimit | None = None
    global_: GlobalLimit | None = msgspec.field(name="global", default=None)


class RouteGlobalLimit(MeshStruct, frozen=True):
    """What the server is asked about for requests of a route; which server, `spec.rateLimit` says.

    descriptors: What the server is asked about.
    """

    descriptors: Annotated[tuple[HttpDescriptor, ...], checked(Items(1, 50))]


class RouteRateLimit(MeshStruct, frozen=True):
    """Limits of one route.

    local: A limit that each proxy keeps for itself.
    global_: A limit that a server keeps for all proxies.
    """

    local: LocalHttpLimit | None = None
    global_: RouteGlobalLimit | None = msgspec.field(name="global", default=None)
