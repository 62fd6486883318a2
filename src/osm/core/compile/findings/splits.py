"""What is wrong with a TrafficSplit that takes effect."""

from collections.abc import Iterator, Mapping

from osm.core.api.manifest import Key
from osm.core.api.smi import TrafficSplit
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of, service_key
from osm.core.compile.precedence import oldest
from osm.core.compile.smi import http_match, root_service
from osm.core.compile.tables import ONE, Tables
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.groups import SPECS
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Severity
from osm.core.model.route import HttpMatch
from osm.core.model.service import PortName, ServiceName, ServicePort

_LONGEST_WAY = 8
"""Services that are looked at for a way back to the root of a split."""


def _findings(tables: Tables, key: Key, root: ServiceName) -> tuple[Finding, ...] | None:
    ports = [tables.services[name] for name in tables.ports_of.get(root, ())]
    if not ports or oldest(tables.splits, tables.splits_of.get(root, ())) != key:
        return None  # it has no effect, and its front end says why
    split, where = tables.splits[key].object, tables.splits[key].where
    leaves = _leaves(split, key.namespace)
    found = [
        finding
        for leaf, place in leaves.items()
        for finding in _leaf_findings(tables, key, ports, leaf, place, where)
    ]
    found += _again(tables, key, root, leaves, where)
    if not tables.settings[ONE].permissive:
        for port in ports:
            found += _locked(tables, key, port, leaves, where)
    found += _match_findings(tables, key, split, ports, where)
    return tuple(dict.fromkeys(found)) or None


def _leaves(split: TrafficSplit, namespace: str) -> dict[ServiceName, int]:
    """The backends that get traffic, and their place in the list."""
    found: dict[ServiceName, int] = {}
    for index, backend in enumerate(split.spec.backends):
        leaf = root_service(backend.service, namespace)
        if leaf is not None and backend.weight:
            found.setdefault(leaf, index)
    return found


def _leaf_findings(
    tables: Tables,
    key: Key,
    roots: list[ServicePort],
    leaf: ServiceName,
    place: int,
    where: str,
) -> Iterator[Finding]:
    pairs = [
        (root, tables.services[name])
        for root in roots
        if (name := PortName(leaf, root.name.port)) in tables.services
    ]
    origin = origin_of(key, f"spec.backends[{place}]")
    if pairs and not tables.members.get(service_key(leaf)):
        yield Finding(
            codes.EMPTY_LEAF,
            Severity.WARNING,
            origin,
            f"no workload stands behind service {leaf.name}: what is sent there gets no answer",
            "Look at the service's selector, or give it weight 0 until its pods run.",
            where,
        )
    for root, mine in pairs:
        if root.protocol.is_http != mine.protocol.is_http:
            yield Finding(
                codes.LEAF_PROTOCOL,
                Severity.WARNING,
                origin,
                f"port {root.name.port} is {root.protocol} in service {root.name.service.name} and "
                f"{mine.protocol} in backend {leaf.name}: what is sent there fails",
                "Say the same protocol in both services.",
                where,
            )


def _again(
    tables: Tables, key: Key, root: ServiceName, leaves: Mapping[ServiceName, int], where: str
) -> Iterator[Finding]:
    for leaf, place in leaves.items():
        origin = origin_of(key, f"spec.backends[{place}]")
        other = oldest(tables.splits, tables.splits_of.get(leaf, ()))
        if leaf == root and len(leaves) == 1:
            yield Finding(
                codes.SPLIT_AGAIN,
                Severity.WARNING,
                origin,
                f"all traffic of service {root.name} goes to itself, as it would without this split",
                "Name another service, or delete the split.",
                where,
            )
        elif leaf != root and other is not None:
            leads_back = _leads_to(tables, leaf, root)
            yield Finding(
                codes.SPLIT_AGAIN,
                Severity.WARNING if leads_back else Severity.INFO,
                origin,
                f"{other} splits backend {leaf.name}"
                + (" and leads back here" if leads_back else "")
                + f"; what comes by this split is not split again, and stays with {leaf.name}",
                "Name the services that shall get the traffic, with their weights.",
                where,
            )


def _leads_to(tables: Tables, start: ServiceName, root: ServiceName) -> bool:
    """Whether splits lead from a service to another one, by way of a few.

    A thousand splits in a circle must not cost each of them a look at all others.
    """
    seen, waiting = {start}, [start]
    while waiting and len(seen) <= _LONGEST_WAY:
        split = oldest(tables.splits, tables.splits_of.get(waiting.pop(), ()))
        if split is None:
            continue
        leaves = _leaves(tables.splits[split].object, split.namespace).keys() - seen
        if root in leaves:
            return True
        seen |= leaves
        waiting += leaves
    return False


def _locked(
    tables: Tables,
    key: Key,
    root: ServicePort,
    leaves: Mapping[ServiceName, int],
    where: str,
) -> Iterator[Finding]:
    """Backends that nobody may call, and other backends somebody."""
    allowed: dict[ServiceName, set[Identity]] = {}
    for leaf in leaves:
        port = tables.services.get(PortName(leaf, root.name.port))
        if port is not None and port.identities:
            allowed[leaf] = _callers(tables, port)
    everybody = set().union(*allowed.values())
    for leaf, callers in allowed.items():
        if callers or not everybody:
            continue
        refused = sorted(who.short for who in everybody)
        shown = ", ".join(refused[:3]) + (f" and {len(refused) - 3} more" if refused[3:] else "")
        yield Finding(
            codes.LEAF_ACCESS,
            Severity.WARNING,
            origin_of(key, f"spec.backends[{leaves[leaf]}]"),
            f"{shown} may call other backends, and nobody may call backend {leaf.name}: what is sent "
            "there is refused",
            "A backend with a service account of its own needs a TrafficTarget of its own.",
            where,
        )


def _callers(tables: Tables, port: ServicePort) -> set[Identity]:
    """Who may call some workload behind a service port for something."""
    return {
        source
        for identity in port.identities
        for rule in tables.access.get(identity, ())
        if (rule.http is not None) == port.protocol.is_http
        and (not rule.ports or port.target_port in rule.ports)
        for source in rule.sources
    }


def _match_findings(
    tables: Tables, key: Key, split: TrafficSplit, ports: list[ServicePort], where: str
) -> Iterator[Finding]:
    if not split.spec.matches:
        return
    for port in ports:
        if not port.protocol.is_http:
            yield Finding(
                codes.MATCHES_TCP,
                Severity.WARNING,
                origin_of(key, "spec.matches"),
                f"port {port.name.port} of service {port.name.service.name} is {port.protocol}, "
                "which has no requests to match: it is not split",
                "A split without `matches` splits connections.",
                where,
            )
    for index, reference in enumerate(split.spec.matches):
        group = tables.route_groups.get(Key(SPECS, "HTTPRouteGroup", key.namespace, reference.name))
        if group is None:
            continue
        if any(http_match(match) == HttpMatch() for match in group.object.spec.matches):
            if index + 1 < len(split.spec.matches):
                yield Finding(
                    codes.MATCHES_ALL,
                    Severity.WARNING,
                    origin_of(key, f"spec.matches[{index + 1}]"),
                    f"every request fits HTTPRouteGroup {reference.name!r} before it, so what stands "
                    "here and after it changes nothing",
                    "Remove the match that fits everything, or those after it.",
                    where,
                )
            return


STAGES: tuple[Stage, ...] = (Derive("split_effect_findings", "split_roots", _findings),)
