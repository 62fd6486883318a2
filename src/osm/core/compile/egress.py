"""Front end: Egress becomes what an identity may call beyond the mesh.

Semantics are those of `reference/osm.md` §7.6, but for what `docs/decisions/0003` lists.
"""

from collections.abc import Iterator

from osm.core.api.manifest import Key
from osm.core.api.policy import Egress, EgressSpec
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.smi import http_match
from osm.core.compile.tables import ONE, EgressRead, Tables, Written
from osm.core.compile.upstream import connection_limits
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.egress import (
    ConnectionEgress,
    EgressLimits,
    EgressMatch,
    EgressRules,
    HttpEgress,
    egress_cluster,
    original_cluster,
)
from osm.core.model.groups import POLICY, SPECS
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.route import HttpMatch


def _read(tables: Tables, key: Key, egress: Written[Egress]) -> EgressRead | None:
    """What one Egress grants. What refers to something missing grants nothing."""
    if not is_meshed(tables, key.namespace):
        return None
    spec, where = egress.object.spec, egress.where
    origin = Origin("Egress", key.namespace, key.name, "", POLICY)
    if tables.settings[ONE].egress:
        return EgressRead((), findings=(_not_needed(origin, where),))
    trust_domain = tables.options[ONE].trust_domain
    sources = tuple(sorted({Identity(trust_domain, s.namespace, s.name) for s in spec.sources}))
    findings: list[Finding] = []
    matches = list(_http_matches(tables, key, egress, findings))
    connections = tuple(_connections(key, spec))
    http = tuple(
        HttpEgress(port.number, host, tuple(matches))
        for port in spec.ports
        if port.protocol == "http"
        for host in spec.hosts
        if matches
    )
    setting, missing = _setting(tables, key, egress)
    if missing:
        return EgressRead((), findings=(*findings, *missing))
    return EgressRead(sources, http, connections, setting, tuple(findings))


def _connections(key: Key, spec: EgressSpec) -> Iterator[ConnectionEgress]:
    for index, port in enumerate(spec.ports):
        if port.protocol == "http":
            continue
        tls = port.protocol == "https"
        yield ConnectionEgress(
            port=port.number,
            tls=tls,
            server_names=tuple(sorted(spec.hosts)) if tls else (),
            ranges=tuple(sorted(spec.ip_addresses)),
            server_first=port.protocol == "tcp-server-first",
            origin=Origin("Egress", key.namespace, key.name, f"spec.ports[{index}]", POLICY),
        )


def _http_matches(
    tables: Tables, key: Key, egress: Written[Egress], findings: list[Finding]
) -> Iterator[EgressMatch]:
    """The matches of all HTTPRouteGroups; every request, when no group is named."""
    spec, where = egress.object.spec, egress.where
    ranges = tuple(sorted(spec.ip_addresses))
    names_a_group = False
    for index, reference in enumerate(spec.matches):
        origin = Origin("Egress", key.namespace, key.name, f"spec.matches[{index}]", POLICY)
        if reference.kind != "HTTPRouteGroup":
            continue
        names_a_group = True
        wanted = Key(SPECS, "HTTPRouteGroup", key.namespace, reference.name)
        group = tables.route_groups.get(wanted)
        if group is None:
            findings.append(_missing_group(origin, wanted, where))
            continue
        for position, match in enumerate(group.object.spec.matches):
            field = f"spec.matches[{position}]" + (f" ({match.name})" if match.name else "")
            written = Origin("HTTPRouteGroup", wanted.namespace, wanted.name, field, SPECS)
            yield EgressMatch(origin, http_match(match), written, ranges)
    if not names_a_group:
        origin = Origin("Egress", key.namespace, key.name, "spec.hosts", POLICY)
        yield EgressMatch(origin, HttpMatch(), None, ranges)


def _setting(
    tables: Tables, key: Key, egress: Written[Egress]
) -> tuple[EgressLimits | None, list[Finding]]:
    """The limits of the UpstreamTrafficSetting that is named; without it nothing is let through."""
    for index, reference in enumerate(egress.object.spec.matches):
        if reference.kind != "UpstreamTrafficSetting":
            continue
        wanted = Key(POLICY, "UpstreamTrafficSetting", key.namespace, reference.name)
        setting = tables.upstream_settings.get(wanted)
        if setting is None:
            origin = Origin("Egress", key.namespace, key.name, f"spec.matches[{index}]", POLICY)
            return None, [_missing_setting(origin, wanted, egress.where)]
        limits = connection_limits(setting.object.spec.connection_settings)
        if limits is None:
            return None, []
        field = "spec.connectionSettings"
        origin = Origin("UpstreamTrafficSetting", key.namespace, reference.name, field, POLICY)
        return EgressLimits(limits, origin), []
    return None, []


def _limits(tables: Tables, _: str, keys: tuple[Key, ...]) -> EgressLimits | None:
    """Those of the first object, by name, that has any: a cluster is the same for all who use it."""
    found = (tables.egress_read[key].limits for key in keys)
    return next((limits for limits in found if limits is not None), None)


def _clusters(_: Key, read: EgressRead) -> Iterator[str]:
    """A host's own for HTTP; all that leaves by one port to where it was going, for the rest."""
    for found in read.http:
        yield egress_cluster(found.host, found.port)
        yield from (original_cluster(found.port) for match in found.matches if match.ranges)
    yield from (original_cluster(found.port) for found in read.connections)


def _merged(tables: Tables, _: Identity, objects: tuple[Key, ...]) -> EgressRules:
    """All that an identity's Egress objects allow. What goes anywhere comes before what does not, so
    that one object's ranges do not narrow what another one grants.
    """
    read = [tables.egress_read[key] for key in objects]
    hosts: dict[tuple[int, str], dict[HttpMatch, EgressMatch]] = {}
    for found in (e for each in read for e in each.http):
        matches = hosts.setdefault((found.port, found.host), {})
        for match in found.matches:
            before = matches.get(match.match)
            matches[match.match] = match if before is None else _either(before, match)
    http = tuple(
        HttpEgress(port, host, tuple(sorted(matches.values(), key=lambda m: bool(m.ranges))))
        for (port, host), matches in sorted(hosts.items())
    )
    return EgressRules(http, tuple(sorted({c for each in read for c in each.connections})))


def _either(one: EgressMatch, other: EgressMatch) -> EgressMatch:
    """The same requests, granted twice: where one or the other lets them go."""
    if not one.ranges or not other.ranges:
        return one if not one.ranges else other
    ranges = tuple(sorted({*one.ranges, *other.ranges}))
    return EgressMatch(one.origin, one.match, one.match_origin, ranges)


def _not_needed(origin: Origin, where: str) -> Finding:
    return Finding(
        codes.EGRESS_NEEDLESS,
        Severity.WARNING,
        origin,
        "MeshConfig's `enableEgress` lets everybody call everything, so this Egress has no effect",
        "Set `spec.traffic.enableEgress: false`, or delete this Egress.",
        where,
    )


def _missing_group(origin: Origin, reference: Key, where: str) -> Finding:
    return Finding(
        codes.EGRESS_NO_GROUP,
        Severity.ERROR,
        origin,
        f"{reference} does not exist, so this match allows nothing",
        f"Create it in namespace {reference.namespace}, or correct the name.",
        where,
    )


def _missing_setting(origin: Origin, reference: Key, where: str) -> Finding:
    return Finding(
        codes.EGRESS_NO_SETTING,
        Severity.ERROR,
        origin,
        f"{reference} does not exist, so this Egress allows nothing",
        f"Create it in namespace {reference.namespace}, or correct the name.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    # A mistake in here must not keep a way out open that its author may have closed.
    Derive("egress_read", "egress_objects", _read, closed=True),
    Derive("egress_findings", "egress_read", lambda _, __, read: read.findings or None),
    Group("egress_of", "egress_read", lambda _, read: read.sources),
    Derive("egress", "egress_of", _merged, closed=True),
    Group("egress_clusters", "egress_read", _clusters),
    Derive("egress_limits", "egress_clusters", _limits),
)
