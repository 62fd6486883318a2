"""Front end: IngressBackend says what workloads take from outside of the mesh.

Semantics are those of `reference/osm.md` §7.7; and `matches`, which OSM never implemented, limit the
requests. Of several IngressBackends for one port of a workload the oldest wins.
"""

from collections.abc import Iterator

import msgspec

from osm.core.api.manifest import Key
from osm.core.api.policy import IngressBackend, IngressBackendSpec, IngressService
from osm.core.compile import codes
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.precedence import Age, age
from osm.core.compile.smi import http_match
from osm.core.compile.tables import IngressClaim, IngressRead, Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.groups import POLICY, SPECS
from osm.core.model.ingress import IngressMatch, IngressRule
from osm.core.model.mesh import WorkloadKey
from osm.core.model.origin import Finding, Origin, Severity


class _Callers(msgspec.Struct, frozen=True):
    """Who may call, of all backends of an IngressBackend."""

    addresses: tuple[str, ...] | None
    principals: tuple[str, ...]


def _read(tables: Tables, key: Key, written: Written[IngressBackend]) -> IngressRead | None:
    """The rules of an IngressBackend. Whatever refers to something missing grants nothing."""
    if not is_meshed(tables, key.namespace):
        return None
    spec, where = written.object.spec, written.where
    findings: list[Finding] = []
    callers = _callers(tables, key, spec, where, findings)
    matches = _matches(tables, key, spec, where, findings)
    claims: list[IngressClaim] = []
    for index, backend in enumerate(spec.backends):
        origin = _origin(key, f"spec.backends[{index}]")
        problem = _no_backend(tables, key, backend, origin, where)
        if problem is not None:
            findings.append(problem)
            continue
        rule = _rule(backend, origin, callers, matches)
        claims.append(IngressClaim(Key("", "Service", key.namespace, backend.name), rule))
    return IngressRead(age(key, written), where, tuple(claims), tuple(findings))


def _rule(
    backend: IngressService,
    origin: Origin,
    callers: _Callers,
    matches: tuple[IngressMatch, ...] | None,
) -> IngressRule:
    tls = backend.port.protocol == "https"
    certificate = tls and not backend.tls.skip_client_cert_validation
    addresses = callers.addresses
    if not tls and addresses is None:
        addresses = ()  # without TLS nobody is whom a principal names
    return IngressRule(
        port=backend.port.number,
        origin=origin,
        tls=tls,
        client_certificate=certificate,
        server_names=tuple(sorted(set(backend.tls.sni_hosts))) if tls else (),
        addresses=addresses,
        principals=callers.principals if certificate else None,
        matches=matches,
    )


def _callers(
    tables: Tables, key: Key, spec: IngressBackendSpec, where: str, findings: list[Finding]
) -> _Callers:
    """Sources that are addresses limit them; without any, every address is meant."""
    addresses: set[str] = set()
    principals: set[str] = set()
    limited = not spec.sources
    for index, source in enumerate(spec.sources):
        match source.kind:
            case "AuthenticatedPrincipal":
                principals.add(source.name)
                continue
            case "IPRange":
                addresses.add(source.name)
            case _:
                service = Key("", "Service", source.namespace, source.name)
                found = _addresses_behind(tables, service)
                if not found:
                    origin = _origin(key, f"spec.sources[{index}]")
                    findings.append(_no_source(tables, origin, service, where))
                addresses |= found
        limited = True
    return _Callers(tuple(sorted(addresses)) if limited else None, tuple(sorted(principals)))


def _addresses_behind(tables: Tables, service: Key) -> set[str]:
    """The pods of a service, ready or not: one that is about to end still sends what it has begun."""
    if service not in tables.service_shapes:
        return set()
    return {f"{tables.workloads[name].ip}/32" for name in tables.members.get(service, ())}


def _matches(
    tables: Tables, key: Key, spec: IngressBackendSpec, where: str, findings: list[Finding]
) -> tuple[IngressMatch, ...] | None:
    if not spec.matches:
        return None
    matches: list[IngressMatch] = []
    for index, reference in enumerate(spec.matches):
        group_key = Key(SPECS, "HTTPRouteGroup", key.namespace, reference.name)
        group = tables.route_groups.get(group_key)
        if group is None:
            findings.append(_no_group(_origin(key, f"spec.matches[{index}]"), group_key, where))
            continue
        for position, match in enumerate(group.object.spec.matches):
            field = f"spec.matches[{position}]" + (f" ({match.name})" if match.name else "")
            origin = Origin("HTTPRouteGroup", key.namespace, reference.name, field, SPECS)
            matches.append(IngressMatch(http_match(match), origin))
    return tuple(matches)


def _ingress(
    tables: Tables, _: WorkloadKey, services: tuple[Key, ...]
) -> tuple[IngressRule, ...] | None:
    """The rules for a workload's ports, by port: of the oldest IngressBackend for each."""
    found: dict[int, tuple[tuple[Age, int], IngressRule]] = {}
    for service in services:
        for key in tables.ingress_claims.get(service, ()):
            read = tables.ingress_read[key]
            for index, claim in enumerate(read.claims):
                if claim.service == service:
                    ranked = (read.age, index), claim.rule
                    port = claim.rule.port
                    found[port] = min(found.get(port, ranked), ranked, key=lambda each: each[0])
    return tuple(found[port][1] for port in sorted(found)) or None


def _findings(tables: Tables, _: Key, read: IngressRead) -> tuple[Finding, ...] | None:
    conflicts = (
        _second(claim.rule, winner, read.where)
        for claim in read.claims
        for winner in _winners(tables, claim)
        if winner != claim.rule.origin
    )
    return (*read.findings, *dict.fromkeys(conflicts)) or None


def _winners(tables: Tables, claim: IngressClaim) -> Iterator[Origin]:
    """Whose rules the pods behind a claim really follow at its port."""
    for name in tables.members.get(claim.service, ()):
        for rule in tables.ingress.get(name, ()):
            if rule.port == claim.rule.port:
                yield rule.origin


def _origin(key: Key, field: str) -> Origin:
    return Origin("IngressBackend", key.namespace, key.name, field, POLICY)


def _no_backend(
    tables: Tables, key: Key, backend: IngressService, origin: Origin, where: str
) -> Finding | None:
    """Why a backend takes nothing, if so."""
    service = Key("", "Service", key.namespace, backend.name)
    shape, compiled = tables.service_shapes.get(service), tables.compiled_services.get(service)
    if shape is None or compiled is None:
        return Finding(
            codes.INGRESS_NO_SERVICE,
            Severity.ERROR,
            origin,
            f"there is no service {backend.name!r} in namespace {key.namespace}, so nothing is "
            "taken for it",
            "An IngressBackend and its services are in one namespace.",
            where,
        )
    number = backend.port.number
    targets = sorted({port.target_port for port in compiled.ports.values()} - {0})
    if number in targets:
        return None
    known = ", ".join(map(str, targets)) or "none"
    said = ", which is a port of the service" if number in {p.port for p in shape.ports} else ""
    return Finding(
        codes.INGRESS_NO_PORT,
        Severity.ERROR,
        msgspec.structs.replace(origin, field=f"{origin.field}.port.number"),
        f"no pod behind service {backend.name!r} has port {number}{said}; nothing is taken for it",
        f"Write the pods' port, which the service calls targetPort (here: {known}).",
        where,
    )


def _no_source(tables: Tables, origin: Origin, service: Key, where: str) -> Finding:
    if not is_meshed(tables, service.namespace):
        why = f"namespace {service.namespace} is not in the mesh, so its services are not known"
    elif service in tables.service_shapes:
        why = f"no pod stands behind service {service.namespace}/{service.name}"
    else:
        why = f"there is no service {service.namespace}/{service.name}"
    return Finding(
        codes.INGRESS_NO_SOURCE,
        Severity.ERROR,
        origin,
        f"{why}: this source allows nobody",
        "Correct the name and namespace. The namespace must be in the mesh; its pods need no proxy.",
        where,
    )


def _no_group(origin: Origin, reference: Key, where: str) -> Finding:
    return Finding(
        codes.NO_ROUTES,
        Severity.ERROR,
        origin,
        f"{reference} does not exist, so this match allows nothing",
        f"Create it in namespace {reference.namespace}, or correct the name.",
        where,
    )


def _second(rule: IngressRule, winner: Origin, where: str) -> Finding:
    return Finding(
        codes.INGRESS_TWICE,
        Severity.ERROR,
        rule.origin,
        f"{winner} already says what port {rule.port} of these pods takes; this has no effect there",
        "Put all sources of a port into one IngressBackend.",
        where,
    )


STAGES: tuple[Stage, ...] = (
    # A mistake in here must not keep a rule alive that its author may have withdrawn.
    Derive("ingress_read", "ingress_objects", _read, closed=True),
    Group("ingress_claims", "ingress_read", lambda _, read: (c.service for c in read.claims)),
    Derive("ingress", "selected_by", _ingress, closed=True),
    Derive("ingress_findings", "ingress_read", _findings),
)
