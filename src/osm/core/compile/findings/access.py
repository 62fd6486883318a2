"""What is wrong with a TrafficTarget, seen with the workloads that it names."""

from collections.abc import Iterator, Sequence

from osm.core.api.manifest import Key
from osm.core.api.smi import TrafficTarget
from osm.core.compile import codes
from osm.core.compile.findings.identities import Of, absent
from osm.core.compile.findings.places import origin_of
from osm.core.compile.tables import ONE, Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.access import AccessRule
from osm.core.model.groups import ACCESS
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Severity
from osm.core.model.service import ServicePort


def _findings(
    tables: Tables, key: Key, target: Written[TrafficTarget]
) -> tuple[Finding, ...] | None:
    read = tables.target_rules.get(key)
    if read is None or not read.rules:
        return None  # it allows nothing, and its front end says why
    destination, sources = read.rules[0].destination, read.rules[0].sources
    found: list[Finding] = []
    running = tables.workloads_of
    if [source for source in sources if source not in running]:
        found += _no_sources(tables, key, target)
    if destination in running:
        ports = [tables.services[name] for name in tables.ports_for.get(destination, ())]
        fitting = [port for port in ports if port.target_port]
        found += _unfit(key, read.rules, fitting, target.where)
    else:
        of = Of(key, target.where, "this guards nothing")
        found += absent(tables, codes.NO_DESTINATION, [("spec.destination", destination)], of)
    others = [rule for rule in tables.access[destination] if rule.origin.name != key.name]
    if others:
        found += _granted_twice(key, target, read.rules, others)
    return tuple(found) or None


def _no_sources(tables: Tables, key: Key, target: Written[TrafficTarget]) -> Iterator[Finding]:
    domain = tables.options[ONE].trust_domain
    named = [
        (f"spec.sources[{index}]", Identity(domain, each.namespace, each.name))
        for index, each in enumerate(target.object.spec.sources)
    ]
    of = Of(key, target.where, "nobody is let in because of it")
    return absent(tables, codes.NO_SOURCE, named, of)


def _unfit(
    key: Key, rules: Sequence[AccessRule], ports: Sequence[ServicePort], where: str
) -> Iterator[Finding]:
    """Rules that no port of the destination's services fits; the matches of one are told once."""
    has_http = any(rule.http for rule in rules)
    for field, rule in {rule.origin.field: rule for rule in rules}.items():
        is_http = rule.http is not None
        # Beside HTTP rules, a TCPRoute is there to limit their ports, too.
        fitting = [p for p in ports if p.protocol.is_http == is_http or (has_http and not is_http)]
        if not fitting:
            yield _wrong_protocol(key, field, ports, where, is_http=is_http)
        elif rule.ports and not any(port.target_port in rule.ports for port in fitting):
            yield _wrong_port(key, field, rule, fitting, where)


def _wrong_protocol(
    key: Key, field: str, ports: Sequence[ServicePort], where: str, *, is_http: bool
) -> Finding:
    speaks, wants = ("only TCP", "HTTP") if is_http else ("only HTTP", "TCP")
    why = f"the destination's services speak {speaks}"
    hint = f"A {'TCPRoute' if is_http else 'HTTPRouteGroup'} allows what they speak. " + (
        "If they do speak HTTP, say `appProtocol: http` at their ports."
        if is_http
        else "If they do not speak HTTP, say `appProtocol: tcp` at their ports."
    )
    if not ports:
        why = "no service selects the destination's workloads"
        hint = "The mesh's callers reach workloads by services. Create one that selects them."
    return Finding(
        codes.RULE_PROTOCOL,
        Severity.WARNING,
        origin_of(key, field),
        f"{why}, so this rule, which is about {wants}, allows nothing",
        hint,
        where,
    )


def _wrong_port(
    key: Key, field: str, rule: AccessRule, fitting: Sequence[ServicePort], where: str
) -> Finding:
    wanted = ", ".join(map(str, rule.ports))
    known = ", ".join(map(str, sorted({port.target_port for port in fitting})))
    said = "" if rule.http is None else " for HTTP"
    by_service = {port.name.port: port.target_port for port in fitting}
    hint = f"Access is about the ports of pods, which services call targetPort (here: {known})."
    for number in rule.ports:
        if number in by_service:
            hint = (
                f"{number} is the service's port. Access is about the port of the pods, which the "
                f"service calls targetPort: {by_service[number]}."
            )
    return Finding(
        codes.RULE_PORT,
        Severity.WARNING,
        origin_of(key, field),
        f"no service of the destination has target port {wanted}{said}, so this rule allows nothing",
        hint,
        where,
    )


def _granted_twice(
    key: Key,
    target: Written[TrafficTarget],
    rules: tuple[AccessRule, ...],
    others: Sequence[AccessRule],
) -> Iterator[Finding]:
    """Everything that this object grants, another one grants to the same sources or to more."""
    covers = [{_object(other) for other in others if _covers(other, rule)} for rule in rules]
    for other in sorted(set.intersection(*covers)):
        mutual = all(
            any(_covers(rule, theirs) for rule in rules)
            for theirs in others
            if _object(theirs) == other
        )
        if not mutual or other < key:
            yield Finding(
                codes.GRANTED_TWICE,
                Severity.INFO,
                origin_of(key),
                f"{other} allows all that this does",
                "One of the two can go.",
                target.where,
            )
            return


def _object(rule: AccessRule) -> Key:
    return Key(ACCESS, rule.origin.kind, rule.origin.namespace, rule.origin.name)


def _covers(one: AccessRule, other: AccessRule) -> bool:
    return (
        one.http == other.http
        and (not one.ports or one.ports == other.ports)
        and set(one.sources) >= set(other.sources)
    )


STAGES: tuple[Stage, ...] = (
    Group("ports_for", "services", lambda _, port: port.identities),
    Derive("access_findings", "targets", _findings),
)
