"""What of a pod's traffic passes its proxy, as data: whoever makes rules of it, does so from here.

Semantics are OSM's (`reference/osm.md` §6.3). What goes around the proxy is plain, and no policy sees it.
"""

from ipaddress import IPv4Address, IPv4Network

import msgspec

PROXY_SOURCE = "127.0.0.6"
"""Where a proxy's calls of its own application come from, when they go to the pod's address: that is
how they are told from the application's calls of itself, which pass the proxy."""


class Redirection(msgspec.Struct, frozen=True, order=True, gc=False):
    """All of it passes, but for these. Lists are sorted, without duplicates."""

    outbound_ports: tuple[int, ...] = ()
    """Calls to these ports go around the proxy."""
    inbound_ports: tuple[int, ...] = ()
    """Calls at these ports of the pod go around the proxy."""
    excluded_ranges: tuple[str, ...] = ()
    """Calls to these ranges of IPv4 addresses go around the proxy."""
    included_ranges: tuple[str, ...] = ()
    """If there are any, calls to all others go around the proxy."""
    interfaces: tuple[str, ...] = ()
    """Network interfaces that are left alone, in both directions."""

    @property
    def lets_out(self) -> bool:
        """Whether any call goes around the proxy."""
        return bool(self.outbound_ports or self.excluded_ranges or self.included_ranges)

    def goes_around(self, address: str, port: int) -> bool:
        """Whether a call goes around the proxy."""
        ip = IPv4Address(address)
        if port in self.outbound_ports or _is_in(ip, self.excluded_ranges):
            return True
        return bool(self.included_ranges) and not _is_in(ip, self.included_ranges)


def _is_in(ip: IPv4Address, ranges: tuple[str, ...]) -> bool:
    return any(ip in IPv4Network(each, strict=False) for each in ranges)
