"""Beyond the mesh: which virtual hosts and clusters lead there, and what the listener lets through."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from osm.core.envoy import names
from osm.core.envoy.egress_chains import EgressPort, EgressRange
from osm.core.envoy.egress_cluster import HostCluster, OriginalCluster
from osm.core.envoy.route import MESH_WIDE_EGRESS, OutboundHost, OutboundRule
from osm.core.model.directory import Directory, spellings
from osm.core.model.egress import (
    ConnectionEgress,
    EgressLimits,
    EgressRules,
    HttpEgress,
    egress_cluster,
    original_cluster,
)
from osm.core.model.identity import Identity
from osm.core.model.recorded import AnyModel
from osm.core.model.service import HTTP_PORT

EVERYWHERE = "0.0.0.0/0"
_HOST = re.compile(r"[a-z0-9_]([-a-z0-9_.]{0,251}[a-z0-9_])?\.?")


def egress_ports(
    model: AnyModel, rules: EgressRules, http_ports: tuple[int, ...]
) -> tuple[EgressPort, ...]:
    """What an identity's rules let through that is not HTTP, by port and disjoint ranges."""
    by_port: dict[int, list[ConnectionEgress]] = {}
    for each in rules.connections:
        by_port.setdefault(each.port, []).append(each)
    found: list[EgressPort] = []
    for port, grants in sorted(by_port.items()):
        ranges = tuple(_ranges(grants))
        must_know = any(not each.anything for each in ranges)
        inspected = must_know and not any(grant.server_first for grant in grants)
        ours = _http_addresses(model, port) if port in http_ports else ()
        found.append(EgressPort(port, ours, ranges, inspected))
    return tuple(found)


def _ranges(grants: list[ConnectionEgress]) -> Iterable[EgressRange]:
    named: dict[IPv4Network, list[int]] = {}
    for place, grant in enumerate(grants):
        for text in grant.ranges or (EVERYWHERE,):
            named.setdefault(IPv4Network(text), []).append(place)
    around: list[IPv4Network] = []
    # Two ranges are apart or one within the other, which comes later: each is looked at once.
    for network in sorted(named):
        while around and not network.subnet_of(around[-1]):
            around.pop()
        around.append(network)
        here = [grants[n] for n in sorted({n for each in around for n in named[each]})]
        yield EgressRange(
            str(network),
            any(not grant.tls for grant in here),
            any(grant.tls and not grant.server_names for grant in here),
            tuple(sorted({name for grant in here for name in grant.server_names})),
        )


def _http_addresses(model: AnyModel, port: int) -> tuple[str, ...]:
    found = (
        service.addresses
        for name, service in model.services.items()
        if name.port == port and service.protocol.is_http
    )
    return tuple(sorted({ip for addresses in found for ip in addresses}))


def egress_host(model: AnyModel, source: Identity, name: str) -> OutboundHost | None:
    """The virtual host behind `<routes>/<authority>`, where that is no service of the mesh and the
    identity may call it.
    """
    routes, _, authority = name.partition("/")
    number = names.parse_outbound_routes(routes)
    rules = model.egress.get(source)
    if number is None or rules is None:
        return None
    asked = authority.removeprefix("|")
    found = _host_beyond(model, source, asked, number)
    egress = rules.host(*found) if found else None
    if egress is None:
        return None
    spellings = [f"{egress.host}:{egress.port}"]
    if number or egress.port == HTTP_PORT:
        spellings.append(egress.host)
    domains = tuple(
        sorted(d for d in spellings if not _is_service(model, source.namespace, d, number))
    )
    own_name = own_host_name(routes, egress)
    if not domains or (asked != authority and name != own_name):
        return None
    answers = _rules(egress, number)
    if asked.lower() not in domains:  # with a final dot
        known = _is_service(model, source.namespace, asked, number)
        return None if known else OutboundHost(name, (asked.lower(),), (name,), answers)
    return OutboundHost(own_name, domains, tuple(f"{routes}/{d}" for d in domains), answers)


def all_egress_hosts(model: AnyModel, source: Identity, routes: Iterable[str]) -> Iterator[str]:
    """The own names of all hosts beyond the mesh that an identity may call."""
    rules = model.egress.get(source, EgressRules())
    for each in routes:
        number = names.parse_outbound_routes(each)
        for egress in rules.http:
            name = own_host_name(each, egress)
            if number in (0, egress.port) and egress_host(model, source, name) is not None:
                yield name
                yield from _alias_names(model, source, each, egress)


def _alias_names(
    model: AnyModel, source: Identity, routes: str, egress: HttpEgress
) -> Iterator[str]:
    """Every way to write a host by its aliases: each is a virtual host of its own."""
    for service, alias in model.aliases.items():
        if alias.host == egress.host:
            for host in spellings(service, source.namespace):
                yield f"{routes}/{host}:{egress.port}"
                if names.parse_outbound_routes(routes) or egress.port == HTTP_PORT:
                    yield f"{routes}/{host}"


def _host_beyond(
    model: AnyModel, source: Identity, authority: str, number: int
) -> tuple[str, int] | None:
    """Host and port that an authority names; of an alias, those of what it stands for."""
    found = split_authority(authority, number)
    return found and (Directory(model).host_beyond(found[0], source.namespace), found[1])


def own_host_name(routes: str, egress: HttpEgress) -> str:
    """The one name of a host beyond the mesh; a service's has a namespace before the bar."""
    return f"{routes}/|{egress.host}:{egress.port}"


def _rules(egress: HttpEgress, number: int) -> tuple[OutboundRule, ...]:
    """Without a redirected connection nobody knows to which address a request goes: those that may
    go to some addresses only go nowhere.
    """
    host = egress_cluster(egress.host, egress.port)
    return tuple(
        OutboundRule(
            clusters=((original_cluster(egress.port) if each.ranges else host, 1),),
            origin=each.match_origin or each.origin,
            matches=(each.match,),
            ranges=each.ranges,
        )
        for each in egress.matches
        if number or not each.ranges
    )


def passthrough_host(model: AnyModel, source: Identity, name: str) -> OutboundHost | None:
    """With mesh-wide egress: the virtual host of an authority that the mesh does not know."""
    routes, _, authority = name.partition("/")
    number = names.parse_outbound_routes(routes)
    if number is None or not model.settings.egress:
        return None
    found = _host_beyond(model, source, authority, number)
    if found is None or _is_service(model, source.namespace, authority, number):
        return None
    cluster = names.PASSTHROUGH_CLUSTER if number else egress_cluster(*found)
    return OutboundHost(
        name, (authority.lower(),), (name,), (OutboundRule(((cluster, 1),), MESH_WIDE_EGRESS),)
    )


def _is_service(model: AnyModel, namespace: str, authority: str, number: int) -> bool:
    return Directory(model).by_authority(authority, number, namespace) is not None


def split_authority(authority: str, number: int) -> tuple[str, int] | None:
    """Host and port that an authority names on a connection to port `number` (0: it says itself)."""
    host, _, written = authority.lower().partition(":")
    if not _HOST.fullmatch(host) or (written and not _is_port(written)):
        return None
    port = int(written) if written else number or HTTP_PORT
    return None if number and port != number else (host.removesuffix("."), port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536


def egress_cluster_value(model: AnyModel, name: str) -> HostCluster | OriginalCluster | None:
    """A cluster beyond the mesh, when somebody may call it."""
    gateway = model.settings.gateway
    if name == names.PASSTHROUGH_CLUSTER:
        return OriginalCluster(name, gateway=gateway) if model.settings.egress else None
    limits = model.egress_limits.get(name, EgressLimits())
    host, separator, number = name.replace("|", ":").partition(":")
    if not separator:
        return OriginalCluster(name, limits, gateway) if name in model.egress_clusters else None
    if "/" in name or not _HOST.fullmatch(host) or not _is_port(number):
        return None
    if egress_cluster(host, int(number)) != name:
        return None
    if name not in model.egress_clusters and not model.settings.egress:
        return None
    return HostCluster(name, host, int(number), limits, gateway)
