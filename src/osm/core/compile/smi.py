"""Front end: SMI's TrafficTarget, HTTPRouteGroup and TCPRoute become access rules, TrafficSplit routes.

Semantics are those of `reference/osm.md` §7.4 and §7.5, but for what `docs/decisions/0003` lists.
"""

import msgspec

from osm.core.api.manifest import Key
from osm.core.api.smi import (
    HTTPMatch,
    TrafficSplit,
    TrafficTarget,
    TrafficTargetRule,
    TrafficTargetSpec,
)
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import oldest
from osm.core.compile.tables import ONE, Tables, TargetRules, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.access import AccessRule
from osm.core.model.groups import ACCESS, SPECS, SPLIT
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.route import Backend, HttpMatch, PathMatch, Route, RouteRule, ValueMatch
from osm.core.model.service import PortName, ServiceName, ServicePort


def _rules_of_target(
    tables: Tables, key: Key, target: Written[TrafficTarget]
) -> TargetRules | None:
    """The access rules of a TrafficTarget. Whatever refers to something missing grants nothing."""
    if not is_meshed(tables, key.namespace):
        return None
    rules, findings = _target_rules(tables, key, target)
    return TargetRules(tuple(rules), tuple(findings))


def _rules_for(tables: Tables, _: Identity, targets: tuple[Key, ...]) -> tuple[AccessRule, ...]:
    rules = [rule for target in targets for rule in tables.target_rules[target].rules]
    return tuple(sorted(rules, key=_place))


def _place(rule: AccessRule) -> tuple[Origin, Origin]:
    """Where a rule is written, which no other rule of its destination shares."""
    return rule.origin, rule.match_origin or rule.origin


def _target_rules(
    tables: Tables, key: Key, target: Written[TrafficTarget]
) -> tuple[list[AccessRule], list[Finding]]:
    spec, where = target.object.spec, target.where
    trust_domain = tables.options[ONE].trust_domain
    destination = Identity(trust_domain, key.namespace, spec.destination.name)
    sources = tuple(
        sorted({Identity(trust_domain, s.namespace or key.namespace, s.name) for s in spec.sources})
    )
    http: list[AccessRule] = []
    tcp: list[AccessRule] = []
    findings: list[Finding] = []
    for index, rule in enumerate(spec.rules):
        origin = Origin("TrafficTarget", key.namespace, key.name, f"spec.rules[{index}]", ACCESS)
        grant = AccessRule(destination, sources, origin)
        if rule.kind == "HTTPRouteGroup":
            found, problems = _http_rules(tables, grant, rule, where)
            http += found
        else:
            found, problems = _tcp_rules(tables, grant, rule, spec.destination.port, where)
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
    tables: Tables, grant: AccessRule, rule: TrafficTargetRule, where: str
) -> tuple[list[AccessRule], list[Finding]]:
    reference = Key(SPECS, "HTTPRouteGroup", grant.origin.namespace, rule.name)
    group = tables.route_groups.get(reference)
    if group is None:
        return [], [_missing(grant.origin, reference, where)]
    matches = group.object.spec.matches
    wanted = set(rule.matches)
    unknown = wanted - {match.name for match in matches}
    return [
        msgspec.structs.replace(
            grant, http=http_match(match), match_origin=_match_origin(reference, position, match)
        )
        for position, match in enumerate(matches)
        # No names given means every match of the group (SMI Traffic Access, "matches").
        if not wanted or match.name in wanted
    ], [_unknown_match(grant.origin, reference, name, where) for name in sorted(unknown)]


def _match_origin(reference: Key, position: int, match: HTTPMatch) -> Origin:
    field = f"spec.matches[{position}]" + (f" ({match.name})" if match.name else "")
    return Origin("HTTPRouteGroup", reference.namespace, reference.name, field, SPECS)


def _tcp_rules(
    tables: Tables, grant: AccessRule, rule: TrafficTargetRule, only: int, where: str
) -> tuple[list[AccessRule], list[Finding]]:
    """`only` is the port of a TrafficTarget v1alpha1; 0 for any."""
    reference = Key(SPECS, "TCPRoute", grant.origin.namespace, rule.name)
    route = tables.tcp_routes.get(reference)
    if route is None:
        return [], [_missing(grant.origin, reference, where)]
    ports = tuple(sorted(set(route.object.spec.matches.ports)))
    if only:
        ports = (only,) if not ports or only in ports else ()
        if not ports:
            return [], []
    field = "spec.matches.ports"
    match_origin = Origin("TCPRoute", reference.namespace, reference.name, field, SPECS)
    return [msgspec.structs.replace(grant, ports=ports, match_origin=match_origin)], []


def _missing(origin: Origin, reference: Key, where: str) -> Finding:
    return Finding(
        codes.NO_ROUTES,
        Severity.ERROR,
        origin,
        f"{reference} does not exist, so this rule grants nothing",
        f"Create it in namespace {reference.namespace}, or correct the name.",
        where,
    )


def _unknown_match(origin: Origin, reference: Key, name: str, where: str) -> Finding:
    return Finding(
        codes.NO_MATCH,
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


def _root_of_split(tables: Tables, key: Key, split: Written[TrafficSplit]) -> ServiceName | None:
    if not is_meshed(tables, key.namespace):
        return None
    return root_service(split.object.spec.service, key.namespace)


def _route(tables: Tables, port: PortName, _: ServicePort) -> Route:
    """A TrafficSplit's rules for the ports of its root, the service itself for all others."""
    winner = oldest(tables.splits, tables.splits_of.get(port.service, ()))
    if winner is not None:
        rules, _problems = _split_rules(tables, winner, port)
        return Route(port, rules)
    origin = Origin("Service", port.service.namespace, port.service.name)
    return Route(port, (RouteRule((Backend(port),), origin),))


def _findings_of_split(
    tables: Tables, key: Key, split: Written[TrafficSplit]
) -> tuple[Finding, ...] | None:
    if not is_meshed(tables, key.namespace):
        return None
    origin = Origin("TrafficSplit", key.namespace, key.name, "", SPLIT)
    service = split.object.spec.service
    root = root_service(service, key.namespace)
    ports = tables.ports_of.get(root, ()) if root else ()
    if root is None or not ports:
        return (_no_root(origin, service, split.where),)
    winner = oldest(tables.splits, tables.splits_of.get(root, ()))
    if winner is not None and winner != key:
        return (_second_split(origin, root, winner, split.where),)
    problems = [problem for port in ports for problem in _split_rules(tables, key, port)[1]]
    return tuple(sorted(set(problems))) or None


def root_service(name: str, namespace: str) -> ServiceName | None:
    """The root in any of its spellings: `svc`, `svc.ns`, `….svc`, `….svc.cluster`, `….svc.cluster.local`."""
    service, _, rest = name.partition(".")
    spellings = (
        namespace,
        *(f"{namespace}.{s}" for s in ("svc", "svc.cluster", "svc.cluster.local")),
    )
    return ServiceName(namespace, service) if not rest or rest in spellings else None


def _split_rules(
    tables: Tables, key: Key, root: PortName
) -> tuple[tuple[RouteRule, ...], list[Finding]]:
    split, where = tables.splits[key].object, tables.splits[key].where
    findings: list[Finding] = []
    backends: dict[PortName, int] = {}
    for index, backend in enumerate(split.spec.backends):
        leaf = root_service(backend.service, key.namespace)
        port = PortName(leaf, root.port) if leaf else None
        if port is None or port not in tables.port_owners:
            origin = Origin(
                "TrafficSplit", key.namespace, key.name, f"spec.backends[{index}]", SPLIT
            )
            findings.append(_no_backend(origin, backend.service, root.port, where))
            continue
        backends[port] = backends.get(port, 0) + backend.weight
    origin = Origin("TrafficSplit", key.namespace, key.name, "spec.backends", SPLIT)
    weighted = tuple(Backend(port, weight) for port, weight in sorted(backends.items()))
    matches, problems = _split_matches(tables, key)
    findings += problems
    if not split.spec.matches:
        return (RouteRule(weighted, origin),), findings
    service = Origin("Service", root.service.namespace, root.service.name)
    rest = RouteRule((Backend(root),), service)
    return ((RouteRule(weighted, origin, matches), rest) if matches else (rest,)), findings


def _split_matches(tables: Tables, key: Key) -> tuple[tuple[HttpMatch, ...], list[Finding]]:
    split = tables.splits[key]
    matches: list[HttpMatch] = []
    findings: list[Finding] = []
    for index, reference in enumerate(split.object.spec.matches):
        group_key = Key(SPECS, "HTTPRouteGroup", key.namespace, reference.name)
        group = tables.route_groups.get(group_key)
        if group is None:
            origin = Origin(
                "TrafficSplit", key.namespace, key.name, f"spec.matches[{index}]", SPLIT
            )
            findings.append(_missing(origin, group_key, split.where))
            continue
        matches += [http_match(match) for match in group.object.spec.matches]
    return tuple(matches), findings


def _no_root(origin: Origin, service: str, where: str) -> Finding:
    return Finding(
        codes.NO_ROOT,
        Severity.ERROR,
        Origin(origin.kind, origin.namespace, origin.name, "spec.service", origin.group),
        f"there is no service {service!r} in namespace {origin.namespace}, so nothing is split",
        "A split and its services are in one namespace.",
        where,
    )


def _second_split(origin: Origin, root: ServiceName, first: Key, where: str) -> Finding:
    return Finding(
        codes.SPLIT_TWICE,
        Severity.ERROR,
        origin,
        f"{first} already splits service {root}; this split has no effect",
        "Put all backends of a service into one TrafficSplit.",
        where,
    )


def _no_backend(origin: Origin, service: str, port: int, where: str) -> Finding:
    return Finding(
        codes.NO_LEAF,
        Severity.ERROR,
        origin,
        f"backend service {service!r} does not exist with port {port}; it gets no traffic",
        "A backend needs a Service in the split's namespace with the root's port.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    # A mistake in here must not keep a rule alive that its author may have withdrawn.
    Derive("target_rules", "targets", _rules_of_target, closed=True),
    Derive("target_findings", "target_rules", lambda _, __, target: target.findings or None),
    Group("targets_of", "target_rules", lambda _, target: (r.destination for r in target.rules)),
    Derive("access", "targets_of", _rules_for, closed=True),
    Derive("split_roots", "splits", _root_of_split),
    Group("splits_of", "split_roots", lambda _, root: (root,)),
    Derive("routes", "services", _route),
    Derive("split_findings", "splits", _findings_of_split),
)
