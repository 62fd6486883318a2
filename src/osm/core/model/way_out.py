"""What can be reached beyond the mesh, and what never is (`reference/reliability-security.md` C8)."""

from ipaddress import AddressValueError, IPv4Address, IPv4Network

HOST_NAME = "host.osm.internal"
"""The machine that a local mesh runs on, as its pods call it; `127.0.0.1` is the pod itself."""
HOST_ADDRESS = "242.0.0.1"
"""What that name means in pods. Nobody else has an address of 240.0.0.0/4 (RFC 1112 §4)."""

_NEVER = tuple(
    map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)


def is_unreachable(address: str) -> bool:
    """Whether nothing beyond the mesh may be called there: the caller's own machine, addresses that
    count on one link only (where clouds keep their machines' keys), groups, and what is reserved.
    """
    try:
        ip = IPv4Address(address)
    except AddressValueError:
        return True  # the mesh carries IPv4
    return any(ip in network for network in _NEVER)
