"""Who may call the ports of an identity's workloads."""

from collections.abc import Iterable

from osm.core.envoy import names
from osm.core.envoy.access import HttpAccess, TcpAccess
from osm.core.envoy.inbound import InboundPort
from osm.core.model.access import AccessRule
from osm.core.model.asked import rules_for_proxies
from osm.core.model.identity import Identity
from osm.core.model.recorded import AnyModel
from osm.core.model.workload import Workload


def http_access(model: AnyModel, workload: Workload, port: int) -> HttpAccess:
    """The rules for HTTP to one port of a workload."""
    if model.settings.permissive:
        return HttpAccess(permissive=True)
    former = model.settings.former_proxies
    rules = tuple(r for r in _rules(model, workload.identity, port) if r.http is not None)
    return HttpAccess(False, (*rules, *rules_for_proxies(model, workload, port)), former)


def tcp_access(model: AnyModel, destination: Identity, port: int) -> TcpAccess:
    """The rules for TCP to one port of an identity's workloads."""
    rules = _rules(model, destination, port)
    return TcpAccess(
        name=names.tcp_access(port),
        port=port,
        trust_domain=model.settings.trust_domain,
        permissive=model.settings.permissive,
        rules=tuple(rule for rule in rules if rule.http is None),
        former_proxies=model.settings.former_proxies,
    )


def all_tcp_access(
    model: AnyModel, destination: Identity, ports: Iterable[InboundPort]
) -> tuple[TcpAccess, ...]:
    """The rules of every TCP port."""
    return tuple(tcp_access(model, destination, port.port) for port in ports if not port.is_http)


def _rules(model: AnyModel, destination: Identity, port: int) -> tuple[AccessRule, ...]:
    rules = model.access.get(destination, ())
    return tuple(rule for rule in rules if not rule.ports or port in rule.ports)
