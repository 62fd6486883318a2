"""Which access rule lets a request in; when none does, what the closest one is missing."""

import msgspec

from osm.core.explain.explanation import Step
from osm.core.explain.misfit import misfits
from osm.core.model.access import AccessRule
from osm.core.model.asked import rules_for_proxies
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin, mesh_config_origin
from osm.core.model.request import Request, as_received, fits, path_fits
from osm.core.model.service import ServicePort

PERMISSIVE = mesh_config_origin("spec.traffic.enablePermissiveTrafficPolicyMode")


class Asked(msgspec.Struct, frozen=True):
    """Who wants to do what to one port of the workloads of one identity."""

    source: Identity
    destination: Identity
    port: int
    """The target port."""
    request: Request | None = None
    """None: a TCP connection."""

    @property
    def kind(self) -> str:
        return "TCP" if self.request is None else "HTTP"


def asked(
    source: Identity, destination: Identity, port: ServicePort, request: Request | None
) -> Asked:
    """What is asked of the workloads behind a service port."""
    received = as_received(request) if request is not None else None
    return Asked(source, destination, port.target_port, received)


def is_allowed_by(rule: AccessRule, asked: Asked) -> bool:
    """Whether an access rule lets it in."""
    return not shortcomings(rule, asked)


def shortcomings(rule: AccessRule, asked: Asked) -> list[str]:
    """Each part of a rule of the destination that does not fit; nothing when it lets the request in."""
    found = []
    if not rule.admits(asked.source):
        names = ", ".join(source.short for source in rule.sources[:3])
        more = f" and {len(rule.sources) - 3} more" if len(rule.sources) > 3 else ""
        found.append(f"its sources are {names}{more}, not {asked.source.short}")
    if rule.ports and asked.port not in rule.ports:
        found.append(f"it is for port {_numbers(rule.ports)}, not {asked.port}")
    if (rule.http is None) != (asked.request is None):
        spoken = "TCP" if rule.http is None else "HTTP"
        found.append(f"it is for {spoken}, and port {asked.port} speaks {asked.kind}")
    elif rule.http is not None and asked.request is not None:
        found += misfits(rule.http, asked.request, fits)
        if rule.http.query:
            found.append("it looks at the query, which proxies cannot do for access")
    return found


def access_steps(model: Model, asked: Asked) -> tuple[Step, ...]:
    """The decision comes first. After a denial: the rule that was closest to allowing it."""
    title = f"access to {asked.destination.short}"
    if model.settings.permissive:
        text = "permissive mode allows every identity of the mesh"
        return (Step(title, "ok", text, (PERMISSIVE,)),)
    for place in model.workloads_of.get(asked.destination, ()):
        for rule in rules_for_proxies(model, model.workloads[place], asked.port):
            if is_allowed_by(rule, asked):
                text = f"proxies may ask it this, since {rule.origin} names it"
                return (Step(title, "ok", text, _origins(rule)),)
    rules = model.access.get(asked.destination, ())
    wrong = [(rule, shortcomings(rule, asked)) for rule in rules]
    for rule, problems in wrong:
        if not problems:
            return (Step(title, "ok", f"{_named(rule)} allows it", _origins(rule)),)
    denied = _denied(title, rules, asked)
    if not wrong:
        return (denied,)
    closest, problems = min(wrong, key=lambda pair: _distance(pair[0], pair[1], asked))
    return denied, Step(
        f"closest rule for {asked.destination.short}",
        "info",
        f"{_named(closest)} does not allow it: {'; '.join(problems)}",
        _origins(closest),
    )


def _named(rule: AccessRule) -> str:
    """The objects of a rule, and which match of them; the fields are in the origins."""
    name = f"{rule.origin.kind} {rule.origin.namespace}/{rule.origin.name}"
    if rule.match_origin is None:
        return name
    match = rule.match_origin.field.partition(" (")[2].removesuffix(")")
    if match:
        return f"{name}, match {match},"
    return f"{name}, by {rule.match_origin.kind} {rule.match_origin.name},"


def _distance(rule: AccessRule, problems: list[str], asked: Asked) -> tuple[bool, bool, int, bool]:
    """Rules of the same protocol are closer, then those for the path, then those that lack less, then
    the source's own.
    """
    other = (rule.http is None) != (asked.request is None)
    path = rule.http.path if rule.http else None
    elsewhere = bool(path and asked.request and not path_fits(path, asked.request.path))
    return other, elsewhere, len(problems), asked.source not in rule.sources


def _denied(title: str, rules: tuple[AccessRule, ...], asked: Asked) -> Step:
    of_kind = [
        rule
        for rule in rules
        if (rule.http is None) == (asked.request is None)
        and (not rule.ports or asked.port in rule.ports)
    ]
    from_source = [rule for rule in of_kind if asked.source in rule.sources]
    source, destination = asked.source.short, asked.destination.short
    if from_source:
        text = f"{source} may call it, but no match fits the request"
        looked = dict.fromkeys(o for rule in from_source for o in _origins(rule))
        return Step(title, "denied", text, tuple(looked))
    text = f"no {asked.kind} access rule for {destination} names {source} as a source"
    return Step(title, "denied", text, tuple(sorted({rule.origin for rule in of_kind})))


def _origins(rule: AccessRule) -> tuple[Origin, ...]:
    return (rule.origin, rule.match_origin) if rule.match_origin else (rule.origin,)


def _numbers(ports: tuple[int, ...]) -> str:
    return " or ".join(str(port) for port in ports)
