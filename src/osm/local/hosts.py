"""The private /etc/hosts of pods: each service by all its names, as cluster DNS has them."""

from collections.abc import Iterable, Sequence

import msgspec

_HEAD = """\
# Written by osm; every pod of the mesh has its own.
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
"""


class HostedService(msgspec.Struct, frozen=True, order=True):
    """A service with its virtual address; none for a headless one, which has pods with names."""

    namespace: str
    name: str
    address: str
    pods: tuple[tuple[str, str], ...] = ()
    """Of a headless service: host name and address of each pod."""


def render_hosts(namespace: str, services: Sequence[HostedService]) -> str:
    """Render the hosts file for pods of one Kubernetes namespace.

    A headless service's own name stands for all its pods: glibc tries the addresses in order.
    """
    lines: list[str] = []
    for service in sorted(services):
        own = service.namespace == namespace
        names = list(_names(service.name, service.namespace, own=own))
        addresses = [service.address] if service.address else [ip for _, ip in service.pods]
        lines += [f"{address} {' '.join(names)}" for address in addresses]
        for host, address in service.pods:
            own_names = _names(f"{host}.{service.name}", service.namespace, own=own)
            lines.append(f"{address} {' '.join(own_names)}")
    return _HEAD + "".join(f"{line}\n" for line in lines)


def with_own_name(hosts: str, address: str, names: Iterable[str]) -> str:
    """Add the pod's own names to the hosts file of its namespace."""
    return f"{hosts}{address} {' '.join(names)}\n"


def _names(name: str, namespace: str, *, own: bool) -> Iterable[str]:
    yield f"{name}.{namespace}.svc.cluster.local"
    yield f"{name}.{namespace}.svc.cluster"
    yield f"{name}.{namespace}.svc"
    yield f"{name}.{namespace}"
    if own:
        yield name
