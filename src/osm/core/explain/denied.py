"""Why was this refused, and would it be now: what a log or an answer tells, asked of the model."""

from collections.abc import Iterator

import msgspec

from osm.core.explain.access import access_steps, asked
from osm.core.explain.backends import BACKEND_STEPS
from osm.core.explain.call import Call
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.mistakes import mistake_steps
from osm.core.explain.naming import whole_name
from osm.core.explain.outside import explain_outside, is_outside
from osm.core.explain.reading import EarlyAnswer, path_steps, read_request
from osm.core.explain.refusal import Refusal
from osm.core.explain.remedy import remedy_for
from osm.core.explain.transport import identities_step
from osm.core.model.directory import Directory
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.request import Request
from osm.core.model.service import ServicePort
from osm.core.model.workload import Workload

_AUTHORIZER = ("external-authorizer", "ext_authz")
"""How the reasons of an external authorizer begin, in lists and in logs (`osm.telemetry.access_log`)."""


class _Sides(msgspec.Struct, frozen=True):
    """Who called whom."""

    source: Identity
    destination: Identity
    workloads: tuple[Workload, ...]
    """Those of the destination that are meant."""
    port: ServicePort
    """One of the service ports that lead there."""


def explain_refusal(model: Model, refusal: Refusal) -> Explanation:
    """Ask the workload that refused it again, by the rules of the present.

    How the request got there is not looked at: a route may lead elsewhere by now. `question` of the
    answer asks for the whole way.
    """
    if is_outside(refusal.source):
        return _from_outside(model, refusal)
    source = _identity(model, refusal.source)
    if refusal.reason.startswith("no-ingress"):
        text = f"{refusal.source} called from outside of the mesh, and its address was not kept"
        advice = f"Ask `osm explain ADDRESS {refusal.destination} METHOD PATH` with its address."
        return ended(_question(model, refusal, None), [], "unknown source", text, (advice,))
    if source is None:
        text = f"{refusal.source!r} is nobody's name in the mesh"
        return ended(_question(model, refusal, None), [], "unknown source", text)
    if not refusal.destination:
        return _then_and_now(explain(model, _question(model, refusal, None, source)), refusal)
    workloads = _workloads(model, refusal.destination)
    port = _port(model, refusal, workloads)
    question = _question(model, refusal, port, source)
    if port is None:
        text = f"nothing called {refusal.destination} takes {_what(refusal)} any more"
        return ended(question, [_then(refusal)], "no route", text)
    return _decide(model, refusal, question, _Sides(source, workloads[0].identity, workloads, port))


def _decide(model: Model, refusal: Refusal, question: Question, sides: _Sides) -> Explanation:
    steps = [_then(refusal), *_side_steps(sides)]
    request: Request | None = None
    if refusal.method:
        read = read_request(question)
        if isinstance(read, EarlyAnswer):
            return ended(
                question, [*steps, Step("path", "failed", read.text)], read.verdict, read.text
            )
        request = read
        steps += path_steps(question, request)
    found = access_steps(model, asked(sides.source, sides.destination, sides.port, request))
    steps += found
    source = _source_workload(model, sides)
    if source is not None:
        call = Call(model, source, sides.port, request)
        steps += [step for make in BACKEND_STEPS for step in make(call, sides.port)]
    steps.append(identities_step(model, sides.source, [sides.destination]))
    if found[0].outcome == "ok":
        both = (source, *sides.workloads)
        names = tuple(f"{w.namespace}/{w.name}" for w in both if w is not None)
        answer = Explanation(
            question, "allowed", True, found[0].text, tuple(steps), workloads=names
        )
        return _then_and_now(answer, refusal)
    steps += mistake_steps(model, steps, [sides.destination])
    remedy, advice = "", _foreign(sides.source)
    if sides.source.trust_domain == model.settings.trust_domain:
        remedy = remedy_for(model, sides.source, [(sides.destination, sides.port)], request)
        advice = _about_headers(model, sides) if request and not refusal.headers else ()
    return ended(question, steps, "denied", f"still so: {found[0].text}", advice, remedy)


def _then_and_now(answer: Explanation, refusal: Refusal) -> Explanation:
    """The answer, and whether it differs from what happened."""
    steps = answer.steps
    if not steps or steps[0].title != "then":
        steps = (_then(refusal), *steps)
    summary = answer.summary
    if refusal.reason.startswith(_AUTHORIZER):
        summary = (
            f"the external authorizer did not let it in, and is asked anew each time; {summary}"
        )
    elif answer.allowed:
        summary = f"refused then, and it would be allowed now: {summary}"
    return msgspec.structs.replace(answer, steps=steps, summary=summary)


def _from_outside(model: Model, refusal: Refusal) -> Explanation:
    port = _port(model, refusal, _workloads(model, refusal.destination))
    question = _question(model, refusal, port)
    if port is not None:
        host = f"{port.name.service.host}.{port.name.service.namespace}"
        place = f"{host}:{refusal.port}" if refusal.port else host
        question = msgspec.structs.replace(question, destination=place)
    return _then_and_now(explain_outside(model, question), refusal)


def _then(refusal: Refusal) -> Step:
    when = f"at {refusal.time}: " if refusal.time else ""
    why = f" ({refusal.reason})" if refusal.reason else ""
    to = refusal.destination or refusal.authority
    return Step(
        "then", "denied", f"{when}{refusal.source} was refused {_what(refusal)} by {to}{why}"
    )


def _what(refusal: Refusal) -> str:
    place = f" at port {refusal.port}" if refusal.port else ""
    request = f"{refusal.method} {refusal.path}" if refusal.method else "a TCP connection"
    return request + place


def _side_steps(sides: _Sides) -> Iterator[Step]:
    yield Step("source", "ok", f"identity {sides.source.spiffe_id}")
    names = ", ".join(f"{w.namespace}/{w.name}" for w in sides.workloads[:3])
    text = (
        f"{names}, identity {sides.destination.spiffe_id}, port {sides.port.target_port} "
        f"({sides.port.protocol})"
    )
    pods = tuple(Origin("Pod", w.namespace, w.name) for w in sides.workloads[:3])
    yield Step("destination", "ok", text, pods)


def _source_workload(model: Model, sides: _Sides) -> Workload | None:
    keys = model.workloads_of.get(sides.source, ())
    return model.workloads[keys[0]] if keys else None


def _foreign(source: Identity) -> tuple[str, ...]:
    return (f"{source.trust_domain} is not the mesh's trust domain: access rules cannot name it.",)


def _about_headers(model: Model, sides: _Sides) -> tuple[str, ...]:
    """A rule of the source may be about headers, which nobody has kept."""
    rules = model.access.get(sides.destination, ())
    if any(rule.http and rule.http.headers and sides.source in rule.sources for rule in rules):
        return ("Logs do not keep headers, and some rules look at them: add them with -H.",)
    return ()


def _identity(model: Model, name: str) -> Identity | None:
    """The identity that a log names, whether or not a workload has it now; else a workload's."""
    found = Identity.from_spiffe_id(name) or Identity.from_dns_name(
        name, model.settings.trust_domain
    )
    if found is not None:
        return found
    namespace, _, account = name.partition("/")
    known = Identity(model.settings.trust_domain, namespace, account)
    if known not in model.workloads_of and (workloads := Directory(model).workloads(name)):
        return workloads[0].identity
    return known if namespace and account and "/" not in account else None


def _workloads(model: Model, name: str) -> tuple[Workload, ...]:
    """The workload of a name; those of a service account, if there is none."""
    namespace, _, short = name.partition("/")
    workload = model.workloads.get((namespace, short))
    if workload is not None:
        return (workload,)
    identity = Identity(model.settings.trust_domain, namespace, short)
    return tuple(model.workloads[key] for key in model.workloads_of.get(identity, ()))


def _port(model: Model, refusal: Refusal, workloads: tuple[Workload, ...]) -> ServicePort | None:
    """A service port that leads to the workloads' port, where the log names it; best one that leads
    nowhere else.
    """
    names = {n for w in workloads for n in model.services_of.get((w.namespace, w.name), ())}
    found = [
        port
        for port in (model.services[name] for name in names)
        if port.target_port
        and refusal.port in (0, port.target_port)
        and port.protocol.is_http == bool(refusal.method)
    ]
    return min(found, key=lambda port: (_leads_elsewhere(model, port), port.name), default=None)


def _leads_elsewhere(model: Model, port: ServicePort) -> bool:
    backends = {backend.port for rule in model.routes[port.name].rules for backend in rule.backends}
    return backends != {port.name}


def _question(
    model: Model, refusal: Refusal, port: ServicePort | None, source: Identity | None = None
) -> Question:
    """What somebody would ask about the whole way of the same request."""
    name = refusal.source
    if source is not None and (keys := model.workloads_of.get(source)):
        workload = model.workloads[keys[0]]
        name = f"{workload.namespace}/{workload.owner_name}"
    destination = refusal.authority or refusal.destination
    if port is not None:
        destination = whole_name(port)
    return Question(name, destination, refusal.method, refusal.path or "/", refusal.headers)
