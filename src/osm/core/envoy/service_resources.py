"""What clients see of services: virtual hosts, clusters and endpoints, the same for all who ask.

Names follow from what Envoy asks for: `<routes>/<authority>` for a virtual host, a cluster's own name
or the address of a TCP connection for a cluster and its endpoints.
"""

from collections.abc import Iterator

from osm.core.envoy import names
from osm.core.envoy.address import is_socket_address
from osm.core.envoy.cluster import NowhereCluster, ServiceCluster
from osm.core.envoy.endpoint import Endpoints
from osm.core.envoy.route import OutboundHost, OutboundRule
from osm.core.envoy.tls import TlsSettings
from osm.core.model.directory import Directory, short_spellings, whole_spellings
from osm.core.model.identity import Identity
from osm.core.model.recorded import AnyModel
from osm.core.model.retry import RetryPolicy, retry_key
from osm.core.model.route import RouteRule
from osm.core.model.service import HTTP_PORT, PortName, ServiceName, ServicePort
from osm.core.model.upstream import ConnectionLimits


def host_name(routes: str, port: PortName) -> str:
    """The one name of a service port among the virtual hosts of `routes`.

    No authority has a bar in it, so what is asked for is never a resource's own name. (A slash would
    not do: Envoy takes all before the last one for the route configuration's name.)
    """
    service = port.service
    number = "" if names.parse_outbound_routes(routes) else f":{port.port}"
    return f"{routes}/{service.namespace}|{service.host}{number}"


def virtual_host(model: AnyModel, source: Identity, name: str) -> OutboundHost | None:
    """The virtual host behind `<routes>/<authority>`, as applications of an identity write it, or
    under its own name.

    All usual spellings of a service are one virtual host, so that a proxy holds it once. An unusual
    one (with a trailing dot, an address) has a virtual host of its own.
    """
    routes, _, authority = name.partition("/")
    number = names.parse_outbound_routes(routes)
    if number is None:
        return None
    directory, namespace = Directory(model), source.namespace
    asked = authority if "|" not in authority else _whole(authority)
    found = directory.called(asked, number, namespace)
    if found is None or not found[1].protocol.is_http:
        return None
    written, port = found
    retry = model.retries.get(retry_key(source, port.name.service))
    rules = tuple(_outbound_rule(model, rule, retry) for rule in model.routes[port.name].rules)
    domains = tuple(sorted(_domains(directory, port, written, number, namespace)))
    if asked.lower() not in domains:
        return OutboundHost(name, (asked.lower(),), (name,), rules)
    aliases = tuple(f"{routes}/{domain}" for domain in domains)
    own_name = host_name(routes, PortName(written, port.name.port))
    return OutboundHost(own_name, domains, aliases, rules)


def _whole(own_name: str) -> str:
    """The authority of a virtual host's own name, as everybody writes it."""
    namespace, _, host = own_name.partition("|")
    host, colon, number = host.partition(":")
    return f"{host}.{namespace}.svc.cluster.local{colon}{number}"


def _domains(
    directory: Directory, port: ServicePort, service: ServiceName, number: int, namespace: str
) -> Iterator[str]:
    """How a service, or an alias of it, is written."""
    # The endpoints of a headless service come and go; whoever writes their addresses asks for each.
    addresses = () if port.headless or service != port.name.service else port.addresses
    short = [
        host
        for host in (*short_spellings(service, namespace), *addresses)
        if directory.by_authority(f"{host}:{port.name.port}", number, namespace) == port
    ]
    for host in (*short, *whole_spellings(service)):
        yield f"{host}:{port.name.port}"
        if number or port.name.port == HTTP_PORT:
            yield host


def _outbound_rule(model: AnyModel, rule: RouteRule, retry: RetryPolicy | None) -> OutboundRule:
    return OutboundRule(
        clusters=weighted_clusters(model, rule),
        origin=rule.origin,
        matches=rule.matches,
        filters=rule.filters,
        timeout_ms=rule.timeout_ms,
        retry=retry,
    )


def weighted_clusters(model: AnyModel, rule: RouteRule) -> tuple[tuple[str, int], ...]:
    """The clusters that a rule's backends are, with their weights."""
    found = ((model.services.get(backend.port), backend.weight) for backend in rule.backends)
    return tuple((port.cluster_name, weight) for port, weight in found if port is not None)


def service_cluster(
    model: AnyModel, tls: TlsSettings, name: str
) -> ServiceCluster | NowhereCluster | None:
    """A cluster by its own name, or by the address `<ip>:<port>` of a TCP connection."""
    port = _by_cluster_or_address(model, name)
    if port is None:
        return NowhereCluster(name) if is_socket_address(name) else None
    limits = model.upstreams.get(port.name.service)
    return ServiceCluster(
        name=name,
        stat_name=port.cluster_name,
        protocol=port.protocol,
        sni=port.name.service.fqdn,
        identities=port.identities,
        tls=tls,
        namespace=port.name.service.namespace,
        service=port.name.service.name,
        limits=(limits.connections if limits else None) or ConnectionLimits(),
        origin=limits.origin if limits and limits.connections else None,
        health_checks=model.settings.health_checks,
    )


def endpoints(model: AnyModel, name: str) -> Endpoints | None:
    """The endpoints of a cluster have the cluster's name, and no two clusters share them: Envoy
    asks once for a name, and a second cluster would wait for the answer that the first one had,
    with everything on demand behind it (measured with Envoy 1.40).
    """
    port = _by_cluster_or_address(model, name)
    if port is None:
        return None
    members = model.endpoints.get(port.name, ())
    if port.headless and is_socket_address(name):
        # One pod was chosen by its address: only that endpoint will do.
        ip = name.rpartition(":")[0]
        members = tuple(m for m in members if model.workloads[m.namespace, m.workload].ip == ip)
    return Endpoints(name, members)


def _by_cluster_or_address(model: AnyModel, name: str) -> ServicePort | None:
    directory = Directory(model)
    return directory.by_cluster(name) or directory.tcp_by_address(name)
