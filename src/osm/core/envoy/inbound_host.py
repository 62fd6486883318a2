"""Virtual hosts of a workload's port: only where services behind it have limits of their own.

Requests are told apart by the authority that the caller wrote. The first service by name also has
whatever authority belongs to no other.
"""

from collections.abc import Iterable

import msgspec

from osm.core.envoy.access import HttpAccess
from osm.core.model.directory import spellings
from osm.core.model.recorded import AnyModel
from osm.core.model.service import PortName, ServiceName
from osm.core.model.upstream import ANY_PATH, HttpLimit, RouteLimit, limited_paths


class InboundHost(msgspec.Struct, frozen=True, gc=False):
    """Requests for one service, and their limits. A route's limit stands in place of the host's."""

    name: str
    domains: tuple[str, ...]
    limit: HttpLimit | None = None
    routes: tuple[RouteLimit, ...] = ()


def inbound_hosts(
    model: AnyModel, ports: tuple[PortName, ...], access: HttpAccess
) -> tuple[InboundHost, ...]:
    """The hosts of the service ports behind one port; none when nothing is limited."""
    if not ports:
        return ()
    roots = (root for port in ports for root in model.roots_of.get(port, ()))
    by_service: dict[ServiceName, list[PortName]] = {}
    for port in (*ports, *roots):
        by_service.setdefault(port.service, []).append(port)
    paths = limited_paths(access.rules, permissive=access.permissive)
    limits = {service: _limits(model, service, paths) for service in by_service}
    if not any(limit or routes for limit, routes in limits.values()):
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
    model: AnyModel, service: ServiceName, paths: frozenset[str]
) -> tuple[HttpLimit | None, tuple[RouteLimit, ...]]:
    limits = model.upstreams.get(service)
    if limits is None:
        return None, ()
    routes = [route for route in limits.routes if route.path in paths]
    if routes and routes[-1].path == ANY_PATH:
        return routes[-1].limit, tuple(routes[:-1])
    return limits.http, tuple(routes)


def _domains(model: AnyModel, ports: Iterable[PortName]) -> Iterable[str]:
    for name in ports:
        port = model.services[name]
        addresses = () if port.headless else port.addresses
        for host in (*spellings(name.service, name.service.namespace), *addresses):
            yield host
            yield f"{host}:{name.port}"
