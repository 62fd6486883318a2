"""Services of the mesh that proxies themselves ask: of permission, and of limits.

Whoever names such a service, in MeshConfig or an UpstreamTrafficSetting, means it to be asked. So that
is an access rule by itself: for the one call that proxies make, and for those whose proxies make it.
"""

from collections.abc import Iterator

from osm.core.compile.extension import unreachable
from osm.core.compile.openservicemesh import MESH_CONFIG_NAME
from osm.core.compile.tables import Tables
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.access import AccessRule
from osm.core.model.authorization import AUTHORIZATION_ORIGIN, CHECK_PATH
from osm.core.model.directory import service_names
from osm.core.model.extension import ExtensionServer
from osm.core.model.global_limit import LIMIT_PATH
from osm.core.model.groups import CONFIG
from osm.core.model.identity import Identity
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding, Origin
from osm.core.model.route import HttpMatch, PathMatch
from osm.core.model.service import PortName, ServiceName, ServicePort
from osm.core.model.upstream import UpstreamLimits


def _port(tables: Tables, server: ExtensionServer) -> PortName | None:
    """The service port of the mesh that a server is."""
    named = [PortName(service, server.port) for service in service_names(server.host, "")]
    names = (*named, *tables.by_address.get((server.host, server.port), ()))
    found = (tables.services.get(name) for name in names)
    port = next((port for port in found if port is not None), None)
    return port.name if port is not None and port.protocol.is_http else None


def _authorizer(tables: Tables, _: str, settings: Settings) -> PortName | None:
    return _port(tables, settings.authorization.server) if settings.authorization else None


def _limiters(
    tables: Tables, _: ServiceName, limits: UpstreamLimits
) -> tuple[PortName, ...] | None:
    found = (_port(tables, limit.server) for limit in limits.asked)
    return tuple(sorted({port for port in found if port is not None})) or None


def _rules(tables: Tables, name: PortName, port: ServicePort) -> tuple[AccessRule, ...] | None:
    """What proxies may call of a service port; None where they ask nothing."""
    return tuple(_grants(tables, name, port)) or None


def _grants(tables: Tables, name: PortName, port: ServicePort) -> Iterator[AccessRule]:
    for destination in port.identities:
        if name in tables.authorizers:
            yield _rule(port, destination, AUTHORIZATION_ORIGIN, CHECK_PATH)
        for service in tables.limiters.get(name, ()):
            origin = _limit_origin(tables, name, tables.upstreams[service])
            yield _rule(port, destination, origin, LIMIT_PATH, _workloads_of(tables, service))


def _workloads_of(tables: Tables, service: ServiceName) -> tuple[Identity, ...]:
    ports = tables.ports_of.get(service, ())
    return tuple(sorted({who for port in ports for who in tables.services[port].identities}))


def _limit_origin(tables: Tables, name: PortName, limits: UpstreamLimits) -> Origin:
    return min(limit.origin for limit in limits.asked if _port(tables, limit.server) == name)


def _rule(
    port: ServicePort,
    destination: Identity,
    origin: Origin,
    path: str,
    sources: tuple[Identity, ...] | None = None,
) -> AccessRule:
    """Without `sources`, for every identity of the mesh."""
    match = HttpMatch(path=PathMatch("exact", path), methods=("POST",))
    return AccessRule(
        destination,
        sources or (),
        origin,
        http=match,
        ports=(port.target_port,),
        anyone=sources is None,
    )


def _findings(tables: Tables, _: str, settings: Settings) -> tuple[Finding, ...] | None:
    """An authorizer that is named as a service of the mesh, and is not there."""
    if settings.authorization is None:
        return None
    key, written = min(
        (key, each) for key, each in tables.mesh_configs.items() if key.name == MESH_CONFIG_NAME
    )
    field = AUTHORIZATION_ORIGIN.field
    origin = Origin("MeshConfig", key.namespace, key.name, field, CONFIG)
    found = unreachable(tables, settings.authorization.server, origin, written.where)
    return (found,) if found else None


STAGES: tuple[Stage, ...] = (
    Derive("authorizer", "settings", _authorizer, closed=True),
    Group("authorizers", "authorizer", lambda _, port: (port,)),
    Derive("limiter_ports", "upstreams", _limiters, closed=True),
    Group("limiters", "limiter_ports", lambda _, ports: ports),
    Derive("asked", "services", _rules, closed=True),
    Derive("authorizer_findings", "settings", _findings),
)
