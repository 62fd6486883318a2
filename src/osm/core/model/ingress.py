"""What a workload's port takes from outside of the mesh."""

import msgspec

from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch
from osm.core.model.upstream import ANY_PATH

ANY_PRINCIPAL = "*"


class IngressMatch(msgspec.Struct, frozen=True, gc=False):
    """Requests that are allowed, and where that is written."""

    http: HttpMatch
    origin: Origin


class IngressRule(msgspec.Struct, frozen=True, gc=False):
    """Plain HTTP, or with `tls` HTTPS, to one port of workloads.

    Of `addresses`, `principals` and `matches`, None lets everybody and everything through, and
    nothing at all (`()`) nobody and nothing.
    """

    port: int
    """The port that the application listens on."""
    origin: Origin
    tls: bool
    client_certificate: bool
    server_names: tuple[str, ...]
    """Names that TLS clients may ask for; without any, every name and none."""
    addresses: tuple[str, ...] | None
    """IPv4 ranges of callers."""
    principals: tuple[str, ...] | None
    """DNS names or URIs that a caller's certificate shows; `*` is any certificate."""
    matches: tuple[IngressMatch, ...] | None

    @property
    def name(self) -> str:
        """How logs and answers name the rule: its origin, without spaces."""
        origin = self.origin
        return f"{origin.kind}/{origin.namespace}/{origin.name}/{origin.field}"

    @property
    def paths(self) -> frozenset[str]:
        """The paths that a limit of a route may have."""
        paths = {m.http.path.value if m.http.path else ANY_PATH for m in self.matches or ()}
        return frozenset({*paths, ANY_PATH})
