"""Routes: for one service port, an ordered list of rules; the first whose match fits decides.

Shaped after what the Gateway API's routes can say, of which SMI's splits are a small part. Access is
not decided here (`model.access`).
"""

import msgspec

from osm.core.model.origin import Origin
from osm.core.model.service import PortName


class PathMatch(msgspec.Struct, frozen=True, order=True, gc=False):
    """`kind` is `exact`, `prefix` (by path elements) or `regex` (RE2, the whole path, without the query)."""

    kind: str
    value: str


class ValueMatch(msgspec.Struct, frozen=True, order=True, gc=False):
    """A header or query parameter. `kind` is `exact` or `regex` (RE2, the whole value)."""

    name: str
    kind: str
    value: str


class HttpMatch(msgspec.Struct, frozen=True, gc=False):
    """All parts must fit; an empty part fits everything. `host` matches the authority as sent."""

    path: PathMatch | None = None
    methods: tuple[str, ...] = ()
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()


class Backend(msgspec.Struct, frozen=True, order=True, gc=False):
    """A service port that takes `weight` parts of a rule's traffic."""

    port: PortName
    weight: int = 1


class HeaderFilter(msgspec.Struct, frozen=True, order=True, gc=False, tag=True):
    """Sets, adds or removes headers of the request (or of the response)."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    response: bool = False


Filter = HeaderFilter
"""The filters that front ends can ask for; the Gateway API's others join this union."""


class RouteRule(msgspec.Struct, frozen=True, gc=False):
    """Matches (any fits; none given fits all), filters, and where the traffic goes.

    No backend, or weights that add up to 0, means that nothing can take it: 503.
    """

    backends: tuple[Backend, ...]
    origin: Origin
    matches: tuple[HttpMatch, ...] = ()
    filters: tuple[Filter, ...] = ()
    timeout_ms: int = 0
    """0: none."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """What happens to traffic for one service port. Never without a rule."""

    port: PortName
    rules: tuple[RouteRule, ...]
