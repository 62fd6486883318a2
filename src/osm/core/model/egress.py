"""What may be called beyond the mesh, by identity. Rules only ever allow, as access rules do."""

from ipaddress import IPv4Address, IPv4Network

import msgspec

from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch
from osm.core.model.upstream import ConnectionLimits


class EgressMatch(msgspec.Struct, frozen=True, gc=False):
    """Requests to one host that may leave, to addresses in `ranges`; to any without ranges."""

    origin: Origin
    match: HttpMatch = HttpMatch()
    match_origin: Origin | None = None
    """Where the match is written, when that is another object than `origin`."""
    ranges: tuple[str, ...] = ()


class HttpEgress(msgspec.Struct, frozen=True, gc=False):
    """A host that may be called with HTTP on one port. `matches` in order; the first decides."""

    port: int
    host: str
    matches: tuple[EgressMatch, ...]


class ConnectionEgress(msgspec.Struct, frozen=True, order=True, gc=False):
    """Connections to one port that may leave: to `ranges` (any without), and with `tls` only to
    `server_names` (any without; `*.example.com` is every name below example.com).
    """

    port: int
    tls: bool
    server_names: tuple[str, ...]
    ranges: tuple[str, ...]
    server_first: bool
    origin: Origin

    def admits(self, ip: str) -> bool:
        return not self.ranges or is_within(ip, self.ranges)


class EgressLimits(msgspec.Struct, frozen=True, order=True, gc=False):
    """Limits of what goes beyond the mesh by one cluster."""

    connections: ConnectionLimits = ConnectionLimits()
    origin: Origin | None = None


class EgressRules(msgspec.Struct, frozen=True, gc=False):
    """Everything that one identity may call beyond the mesh."""

    http: tuple[HttpEgress, ...] = ()
    connections: tuple[ConnectionEgress, ...] = ()

    def may_look_up(self, name: str) -> bool:
        """Whether its addresses are of any use. What may leave by its address may ask for any name."""
        return any(each.host == name for each in self.http) or any(
            not each.server_names or server_name_fits(name, each.server_names)
            for each in self.connections
        )

    def host(self, host: str, port: int) -> HttpEgress | None:
        return next((e for e in self.http if (e.host, e.port) == (host, port)), None)


def egress_cluster(host: str, port: int) -> str:
    """`<host>:<port>`, as OSM's. An address is written otherwise: `<ip>:<port>` is what TCP
    connections ask for, and who may do so is another question.
    """
    return f"{host}|{port}" if _is_address(host) else f"{host}:{port}"


def original_cluster(port: int) -> str:
    """What goes by one port to the address that the application has chosen: `<port>`, as OSM's."""
    return str(port)


def is_within(ip: str, ranges: tuple[str, ...]) -> bool:
    """Whether an IPv4 address is in one of the ranges."""
    return _is_address(ip) and any(IPv4Address(ip) in IPv4Network(each) for each in ranges)


def server_name_fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a server name is one of the patterns, or below one that begins with `*.`."""
    return any(
        name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern
        for pattern in patterns
    )


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
