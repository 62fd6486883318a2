"""Virtual hosts of a workload's port: only where services behind it have limits of their own.

Requests are told apart by the authority that the caller wrote. The first service by name also has
whatever authority belongs to no other.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from osm.core.envoy.extension_cluster import extension_cluster_name
from osm.core.envoy.filters.global_rate_limit import AskedLimit
from osm.core.model.directory import spellings
from osm.core.model.global_limit import GlobalHttpLimit
from osm.core.model.origin import Origin
from osm.core.model.recorded import AnyModel
from osm.core.model.service import PortName, ServiceName
from osm.core.model.upstream import ANY_PATH, HttpLimit


class LimitedPath(msgspec.Struct, frozen=True, gc=False):
    """Limits of requests whose path fits a regex; what is None is as the host's."""

    path: str
    limit: HttpLimit | None = None
    everywhere: AskedLimit | None = None


class InboundHost(msgspec.Struct, frozen=True, gc=False):
    """Requests for one service, and their limits: a proxy's own, and one that a server keeps."""

    name: str
    domains: tuple[str, ...]
    limit: HttpLimit | None = None
    everywhere: AskedLimit | None = None
    routes: tuple[LimitedPath, ...] = ()

    @property
    def origins(self) -> Iterator[Origin]:
        """Of its limits."""
        everything = LimitedPath("", self.limit, self.everywhere)
        for each in (everything, *self.routes):
            if each.limit is not None:
                yield each.limit.origin
            if each.everywhere is not None:
                yield each.everywhere.limit.origin


def inbound_hosts(
    model: AnyModel,
    ports: tuple[PortName, ...],
    paths: frozenset[str],
    *,
    by_identity: bool = False,
    is_asked: bool = False,
) -> tuple[InboundHost, ...]:
    """The hosts of the service ports behind one port; none when nothing is limited. `paths` are those
    that a route may have; `by_identity` as in `AskedLimit`. `is_asked`: the application is a server
    that proxies ask, and none is asked about it.
    """
    if not ports:
        return ()
    roots = (root for port in ports for root in model.roots_of.get(port, ()))
    by_service: dict[ServiceName, list[PortName]] = {}
    for port in (*ports, *roots):
        by_service.setdefault(port.service, []).append(port)

    def asked(limit: GlobalHttpLimit | None) -> AskedLimit | None:
        if limit is None or is_asked:
            return None
        return AskedLimit(limit, extension_cluster_name(model, limit.server), by_identity)

    limits = {service: _limits(model, service, paths, asked) for service in by_service}
    if not any(any(found) for found in limits.values()):
        return ()
    taken: set[str] = set()
    hosts: list[InboundHost] = []
    first = ports[0].service
    for service in sorted(by_service):
        if service == first:
            continue
        # A domain may stand in one virtual host only.
        domains = {d for d in _domains(model, by_service[service]) if d not in taken}
        taken |= domains
        hosts.append(InboundHost(service.fqdn, tuple(sorted(domains)), *limits[service]))
    return (InboundHost(first.fqdn, ("*",), *limits[first]), *hosts)


def _limits(
    model: AnyModel,
    service: ServiceName,
    paths: frozenset[str],
    asked: Callable[[GlobalHttpLimit | None], AskedLimit | None],
) -> tuple[HttpLimit | None, AskedLimit | None, tuple[LimitedPath, ...]]:
    limits = model.upstreams.get(service)
    if limits is None:
        return None, None, ()
    own, everywhere = limits.http, limits.http_everywhere
    routes = [route for route in limits.routes if route.path in paths]
    if routes and routes[-1].path == ANY_PATH:
        rest = routes.pop()
        own, everywhere = rest.limit or own, rest.everywhere or everywhere
    limited = tuple(LimitedPath(r.path, r.limit, asked(r.everywhere)) for r in routes)
    return own, asked(everywhere), limited


def _domains(model: AnyModel, ports: Iterable[PortName]) -> Iterable[str]:
    for name in ports:
        port = model.services[name]
        addresses = () if port.headless else port.addresses
        for host in (*spellings(name.service, name.service.namespace), *addresses):
            yield host
            yield f"{host}:{name.port}"
