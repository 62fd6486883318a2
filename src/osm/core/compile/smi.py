"""Front end: SMI's TrafficTarget, HTTPRouteGroup and TCPRoute become access rules, TrafficSplit routes.

Semantics are those of `reference/osm.md` §7.4 and §7.5, but for what `docs/decisions/0003` lists.
"""

from collections.abc import Mapping

import msgspec

from osm.core.api.manifest import Key
from osm.core.api.smi import (
    HTTPMatch,
    HTTPRouteGroup,
    TCPRoute,
    TrafficSplit,
    TrafficTarget,
    TrafficTargetRule,
    TrafficTargetSpec,
)
from osm.core.compile.snapshot import Snapshot
from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.route import Backend, HttpMatch, PathMatch, Route, RouteRule, ValueMatch
from osm.core.model.service import PortName, ServiceName, ServicePort

SPECS = "specs.smi-spec.io"
ACCESS = "access.smi-spec.io"
SPLIT = "split.smi-spec.io"


def compile_access(
    snapshot: Snapshot, namespaces: frozenset[str], trust_domain: str
) -> tuple[Mapping[Identity, tuple[AccessRule, ...]], tuple[Finding, ...]]:
    """Access rules by destination. Whatever refers to something missing grants nothing."""
    rules: dict[Identity, list[AccessRule]] = {}
    findings: list[Finding] = []
    for key, target in snapshot.of(TrafficTarget):
        if key.namespace not in namespaces:
            continue
        compiled, problems = _target_rules(snapshot, key, target, trust_domain)
        findings += problems
        if compiled:
            rules.setdefault(compiled[0].destination, []).extend(compiled)
    ordered = {who: tuple(sorted(found, key=_place)) for who, found in rules.items()}
    return ordered, tuple(findings)


def _place(rule: AccessRule) -> tuple[Origin, Origin]:
    """Where a rule is written, which no other rule of its destination shares."""
    return rule.origin, rule.match_origin or rule.origin


def _target_rules(
    snapshot: Snapshot, key: Key, target: TrafficTarget, trust_domain: str
) -> tuple[list[AccessRule], list[Finding]]:
    spec = target.spec
    destination = Identity(trust_domain, key.namespace, spec.destination.name)
    sources = tuple(
        sorted({Identity(trust_domain, s.namespace or key.namespace, s.name) for s in spec.sources})
    )
    where = snapshot.where(key)
    http: list[AccessRule] = []
    tcp: list[AccessRule] = []
    findings: list[Finding] = []
    for index, rule in enumerate(spec.rules):
        origin = Origin("TrafficTarget", key.namespace, key.name, f"spec.rules[{index}]", ACCESS)
        grant = AccessRule(destination, sources, origin)
        if rule.kind == "HTTPRouteGroup":
            found, problems = _http_rules(snapshot, grant, rule, where)
            http += found
        else:
            found, problems = _tcp_rules(snapshot, grant, rule, spec.destination.port, where)
            tcp += found
        findings += problems
    limit = _port_limit(spec, tcp)
    if limit is None or not sources:
        http = []
    rules = tcp + [msgspec.structs.replace(rule, ports=limit or ()) for rule in http]
    return (rules if sources else []), findings


def _port_limit(spec: TrafficTargetSpec, tcp: list[AccessRule]) -> tuple[int, ...] | None:
    """The ports of a TrafficTarget's HTTP rules: empty for any port, None for none at all.

    As in OSM, a TCPRoute in a TrafficTarget also limits the ports of its HTTP rules. One that does
    not exist must not widen them.
    """
    if any(rule.kind == "TCPRoute" for rule in spec.rules):
        if not tcp:
            return None
        if all(rule.ports for rule in tcp):
            return tuple(sorted({port for rule in tcp for port in rule.ports}))
    return (spec.destination.port,) if spec.destination.port else ()


def _http_rules(
    snapshot: Snapshot, grant: AccessRule, rule: TrafficTargetRule, where: str
) -> tuple[list[AccessRule], list[Finding]]:
    reference = Key(SPECS, "HTTPRouteGroup", grant.origin.namespace, rule.name)
    group = snapshot.get(reference, HTTPRouteGroup)
    if group is None:
        return [], [_missing(grant.origin, reference, where)]
    wanted = set(rule.matches)
    unknown = wanted - {match.name for match in group.spec.matches}
    return [
        msgspec.structs.replace(
            grant, http=http_match(match), match_origin=_match_origin(reference, position, match)
        )
        for position, match in enumerate(group.spec.matches)
        # No names given means every match of the group (SMI Traffic Access, "matches").
        if not wanted or match.name in wanted
    ], [_unknown_match(grant.origin, reference, name, where) for name in sorted(unknown)]


def _match_origin(reference: Key, position: int, match: HTTPMatch) -> Origin:
    field = f"spec.matches[{position}]" + (f" ({match.name})" if match.name else "")
    return Origin("HTTPRouteGroup", reference.namespace, reference.name, field, SPECS)


def _tcp_rules(
    snapshot: Snapshot, grant: AccessRule, rule: TrafficTargetRule, only: int, where: str
) -> tuple[list[AccessRule], list[Finding]]:
    """`only` is the port of a TrafficTarget v1alpha1; 0 for any."""
    reference = Key(SPECS, "TCPRoute", grant.origin.namespace, rule.name)
    route = snapshot.get(reference, TCPRoute)
    if route is None:
        return [], [_missing(grant.origin, reference, where)]
    ports = tuple(sorted(set(route.spec.matches.ports)))
    if only:
        ports = (only,) if not ports or only in ports else ()
        if not ports:
            return [], []
    field = "spec.matches.ports"
    match_origin = Origin("TCPRoute", reference.namespace, reference.name, field, SPECS)
    return [msgspec.structs.replace(grant, ports=ports, match_origin=match_origin)], []


def _missing(origin: Origin, reference: Key, where: str) -> Finding:
    return Finding(
        "OSM301",
        Severity.ERROR,
        origin,
        f"{reference} does not exist, so this rule grants nothing",
        f"Create it in namespace {reference.namespace}, or correct the name.",
        where,
    )


def _unknown_match(origin: Origin, reference: Key, name: str, where: str) -> Finding:
    return Finding(
        "OSM302",
        Severity.ERROR,
        origin,
        f"{reference} has no match named {name!r}, so that name grants nothing",
        "Name one of the group's matches, or leave `matches` out for all of them.",
        where,
    )


def http_match(match: HTTPMatch) -> HttpMatch:
    """An HTTPRouteGroup's match. Regexes fit the whole value; `host` is the request's authority."""
    methods = () if not match.methods or "*" in match.methods else tuple(sorted(set(match.methods)))
    path = match.path_regex
    return HttpMatch(
        path=None if path in ("", ".*") else PathMatch("regex", path),
        methods=methods,
        headers=tuple(
            sorted(
                ValueMatch(":authority" if name.lower() == "host" else name.lower(), "regex", value)
                for name, value in match.headers
            )
        ),
    )


def compile_splits(
    snapshot: Snapshot,
    namespaces: frozenset[str],
    services: Mapping[PortName, ServicePort],
) -> tuple[Mapping[PortName, Route], tuple[Finding, ...]]:
    """Routes of the service ports that a TrafficSplit names as its root."""
    routes: dict[PortName, Route] = {}
    findings: list[Finding] = []
    taken: dict[ServiceName, Key] = {}
    ports_of: dict[ServiceName, list[int]] = {}
    for port in services:
        ports_of.setdefault(port.service, []).append(port.port)
    splits = [s for s in snapshot.of(TrafficSplit) if s[0].namespace in namespaces]
    # The oldest split of a root wins, as everywhere in Kubernetes where two objects want the same.
    splits.sort(key=lambda pair: (pair[1].metadata.creation_timestamp or "", pair[0]))
    for key, split in splits:
        where = snapshot.where(key)
        origin = Origin("TrafficSplit", key.namespace, key.name, "", SPLIT)
        root = root_service(split.spec.service, key.namespace)
        if root is None or root not in ports_of:
            findings.append(_no_root(origin, split.spec.service, where))
            continue
        if root in taken:
            findings.append(_second_split(origin, root, taken[root], where))
            continue
        taken[root] = key
        for number in ports_of[root]:
            rules, problems = _split_rules(
                snapshot, key, split, PortName(root, number), services, where
            )
            findings += [f for f in problems if f not in findings]
            routes[PortName(root, number)] = Route(PortName(root, number), rules)
    return routes, tuple(findings)


def root_service(name: str, namespace: str) -> ServiceName | None:
    """The root in any of its spellings: `svc`, `svc.ns`, `….svc`, `….svc.cluster`, `….svc.cluster.local`."""
    service, _, rest = name.partition(".")
    spellings = (
        namespace,
        *(f"{namespace}.{s}" for s in ("svc", "svc.cluster", "svc.cluster.local")),
    )
    return ServiceName(namespace, service) if not rest or rest in spellings else None


def _split_rules(
    snapshot: Snapshot,
    key: Key,
    split: TrafficSplit,
    root: PortName,
    services: Mapping[PortName, ServicePort],
    where: str,
) -> tuple[tuple[RouteRule, ...], list[Finding]]:
    findings: list[Finding] = []
    backends: dict[PortName, int] = {}
    for index, backend in enumerate(split.spec.backends):
        leaf = root_service(backend.service, key.namespace)
        port = PortName(leaf, root.port) if leaf else None
        if port is None or port not in services:
            origin = Origin(
                "TrafficSplit", key.namespace, key.name, f"spec.backends[{index}]", SPLIT
            )
            findings.append(_no_backend(origin, backend.service, root.port, where))
            continue
        backends[port] = backends.get(port, 0) + backend.weight
    origin = Origin("TrafficSplit", key.namespace, key.name, "spec.backends", SPLIT)
    weighted = tuple(Backend(port, weight) for port, weight in sorted(backends.items()))
    matches, problems = _split_matches(snapshot, key, split, where)
    findings += problems
    if not split.spec.matches:
        return (RouteRule(weighted, origin),), findings
    service = Origin("Service", root.service.namespace, root.service.name)
    rest = RouteRule((Backend(root),), service)
    return ((RouteRule(weighted, origin, matches), rest) if matches else (rest,)), findings


def _split_matches(
    snapshot: Snapshot, key: Key, split: TrafficSplit, where: str
) -> tuple[tuple[HttpMatch, ...], list[Finding]]:
    matches: list[HttpMatch] = []
    findings: list[Finding] = []
    for index, reference in enumerate(split.spec.matches):
        group_key = Key(SPECS, "HTTPRouteGroup", key.namespace, reference.name)
        group = snapshot.get(group_key, HTTPRouteGroup)
        if group is None:
            origin = Origin(
                "TrafficSplit", key.namespace, key.name, f"spec.matches[{index}]", SPLIT
            )
            findings.append(_missing(origin, group_key, where))
            continue
        matches += [http_match(match) for match in group.spec.matches]
    return tuple(matches), findings


def _no_root(origin: Origin, service: str, where: str) -> Finding:
    return Finding(
        "OSM311",
        Severity.ERROR,
        Origin(origin.kind, origin.namespace, origin.name, "spec.service", origin.group),
        f"there is no service {service!r} in namespace {origin.namespace}, so nothing is split",
        "A split and its services are in one namespace.",
        where,
    )


def _second_split(origin: Origin, root: ServiceName, first: Key, where: str) -> Finding:
    return Finding(
        "OSM312",
        Severity.ERROR,
        origin,
        f"{first} already splits service {root}; this split has no effect",
        "Put all backends of a service into one TrafficSplit.",
        where,
    )


def _no_backend(origin: Origin, service: str, port: int, where: str) -> Finding:
    return Finding(
        "OSM313",
        Severity.ERROR,
        origin,
        f"backend service {service!r} does not exist with port {port}; it gets no traffic",
        "A backend needs a Service in the split's namespace with the root's port.",
        where,
    )
