"""Virtual addresses of services and pods: from the name, and the same as long as the mesh runs.

240.0.0.0/4 is reserved (RFC 1112 §4): no host has such an address, so none is hidden by ours. Pods
without namespaces of their own get loopback addresses instead, which need no privileges.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from ipaddress import IPv4Network

MESH = IPv4Network("240.0.0.0/4")
SERVICES = IPv4Network("240.0.0.0/8")
PODS = IPv4Network("241.0.0.0/8")
LOOPBACK_PODS = IPv4Network("127.83.0.0/16")


class NoAddressLeft(ValueError):
    """There are more names than addresses."""


def assign(
    names: Iterable[str], network: IPv4Network, held: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give each name an address of its own. What is held is kept, also for names that went away.

    Hashing picks the address, and probing a free one near it when another name has it already.
    """
    assigned = dict(held or {})
    taken = set(assigned.values())
    usable = network.num_addresses - 2  # neither the network's own address nor the last
    for name in sorted(set(names) - assigned.keys()):
        if len(taken) >= usable:
            raise NoAddressLeft(f"{network} has no address left for {name}")
        start = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        address = next(
            text
            for step in range(usable)
            if (text := str(network[1 + (start + step) % usable])) not in taken
        )
        assigned[name] = address
        taken.add(address)
    return assigned
