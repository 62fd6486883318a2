"""Limits that a server keeps for all proxies: what they ask it, and whom they believe.

The server is asked about *descriptors*; each is a list of *entries*, keys and values, in the order of
the server's own configuration. When a request has no value for an entry, its descriptor is left out.
"""

import msgspec

from osm.core.model.extension import ExtensionServer
from osm.core.model.origin import Origin

LIMIT_PATH = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
"""What proxies call to ask."""


class FixedEntry(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The same for every request."""

    key: str
    value: str


class CallerEntry(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Who calls, under the key `remote_address`: an address, or where there is none an identity."""


class HeaderEntry(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The value of a header."""

    key: str
    header: str


class HeaderCondition(msgspec.Struct, frozen=True, gc=False):
    """What a header fulfils: `kind` is `exact`, `prefix`, `suffix`, `regex`, `contains`, `present` or
    `absent`.
    """

    name: str
    kind: str
    value: str = ""


class MatchEntry(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A fixed value, for requests that fulfil all `conditions`; or that do not, without `expected`."""

    key: str
    value: str
    conditions: tuple[HeaderCondition, ...]
    expected: bool = True


Entry = FixedEntry | CallerEntry | HeaderEntry | MatchEntry
Descriptor = tuple[Entry, ...]


class GlobalHttpLimit(msgspec.Struct, frozen=True, gc=False):
    """A limit of requests. `fail_open`: they pass when the server does not answer."""

    server: ExtensionServer
    domain: str
    descriptors: tuple[Descriptor, ...]
    timeout_ns: int
    fail_open: bool
    status: int
    tells_rest: bool
    """Answers tell what is left, in `x-ratelimit-*` headers."""
    origin: Origin


class GlobalTcpLimit(msgspec.Struct, frozen=True, order=True, gc=False):
    """A limit of connections; entries are keys and values."""

    server: ExtensionServer
    domain: str
    descriptors: tuple[tuple[tuple[str, str], ...], ...]
    timeout_ns: int
    fail_open: bool
    origin: Origin
