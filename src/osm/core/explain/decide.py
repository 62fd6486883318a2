"""May this request pass, where does it go, and which object says so: answered from the model alone."""

from collections.abc import Callable, Iterable

import msgspec

from osm.core.explain.alias import through_alias
from osm.core.explain.around import explain_around
from osm.core.explain.asking import global_limit_steps
from osm.core.explain.backends import Arrival, arrive
from osm.core.explain.call import Call
from osm.core.explain.egress import egress_remedy, explain_egress
from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.limits import request_limit_steps, retry_steps
from osm.core.explain.mistakes import mistake_steps
from osm.core.explain.naming import (
    Destination,
    destination_steps,
    did_you_mean,
    elsewhere,
    elsewhere_step,
    find_destination,
    port_problem,
    source_step,
    suggested_services,
    suggested_sources,
    whole_name,
)
from osm.core.explain.outside import explain_outside, is_outside
from osm.core.explain.reading import EarlyAnswer, path_steps, read_request
from osm.core.explain.remedy import remedy_for
from osm.core.explain.routing import choose_rule, reached_by_address, route_step, shares
from osm.core.explain.transport import transport_step
from osm.core.explain.without_proxy import (
    advice_about,
    behind,
    steps_about,
    takes_calls,
    what_callers_get,
)
from osm.core.model.directory import Directory
from osm.core.model.mesh import Model
from osm.core.model.request import Request
from osm.core.model.route import RouteRule
from osm.core.model.service import HTTP_PORT, ServicePort
from osm.core.model.workload import Workload

REQUEST_STEPS: tuple[Callable[[Call], Iterable[Step]], ...] = (
    retry_steps,
    request_limit_steps,
    global_limit_steps,
)
"""What else counts for a call, after its route is found, in this order. For something new: a module
with a function like these, and a line here. (`backends.BACKEND_STEPS`: what counts where it arrives.)
"""


def explain(model: Model, question: Question) -> Explanation:
    """Follow a request (or a TCP connection) from its source to its destination."""
    found = Directory(model).workloads(question.source)
    if not found:
        return _no_workload(model, question)
    source, steps = found[0], [source_step(question, found), *steps_about(model, found[:1])]
    if problem := port_problem(question.destination):
        return ended(question, steps, "bad destination", problem)
    destination = find_destination(model, question, source)
    destination = through_alias(model, question, destination, source)
    steps += destination.steps
    if destination.problem:
        return ended(question, steps, "no route", destination.problem)
    around = explain_around(model, question, destination, source, steps)
    if around is not None:
        return around
    if destination.port is None:
        beyond = explain_egress(model, question, destination.called, source, steps)
        if beyond is not None:
            return beyond
        port = elsewhere(model, destination.called, source.namespace)
        if port is None:
            return _unknown_destination(model, question, destination, source, steps)
        steps.append(elsewhere_step(destination.called, source.namespace, port))
        steps += destination_steps(Destination(whole_name(port), port), source)
        answer = _explain(model, _as_sent(question, port), source, port, steps)
        answer = msgspec.structs.replace(answer, question=question)
        return _with_full_name(answer, source, port)
    steps += destination_steps(destination, source)
    sent = question
    if ":" not in question.destination and destination.port.name.port != HTTP_PORT:
        whole = f"{question.destination}:{destination.port.name.port}"
        sent = msgspec.structs.replace(question, destination=whole)
    answer = _explain(model, sent, source, destination.port, steps)
    return msgspec.structs.replace(answer, question=question)


def _as_sent(question: Question, port: ServicePort) -> Question:
    """A request to the whole name of a service port, which is what rules for hosts look at."""
    return msgspec.structs.replace(question, destination=whole_name(port))


def _no_workload(model: Model, question: Question) -> Explanation:
    if is_outside(question.source):
        return explain_outside(model, question)
    advice = did_you_mean(suggested_sources(model, question.source))
    text = f"no workload is called {question.source!r}"
    return ended(question, [Step("source", "failed", text)], "unknown source", text, advice)


def _with_full_name(answer: Explanation, source: Workload, port: ServicePort) -> Explanation:
    """The same answer, which holds for the whole name only."""
    whole, short = whole_name(port), port.name.service.name
    text = f"Write {whole}: in namespace {source.namespace} the name {short} alone means nothing."
    return msgspec.structs.replace(answer, advice=(text, *answer.advice))


def _explain(
    model: Model, question: Question, source: Workload, port: ServicePort, steps: list[Step]
) -> Explanation:
    if bool(question.method) != port.protocol.is_http:
        spoken = "HTTP" if port.protocol.is_http else "TCP"
        text = f"the port speaks {port.protocol}: explained as {spoken}"
        steps.append(Step("protocol", "info", text))
    request: Request | None = None
    if port.protocol.is_http:
        read = read_request(question)
        if isinstance(read, EarlyAnswer):
            steps.append(Step("path", "failed", read.text))
            return ended(question, steps, read.verdict, read.text)
        request = read
        steps += path_steps(question, request)
    port = reached_by_address(model, port)
    rule, passed = choose_rule(model.routes[port.name], request)
    steps += passed
    if rule is None:
        steps.append(Step("route", "failed", "no rule of the route fits: 404"))
        return ended(question, steps, "no route", "no rule of the route fits the request")
    return _through(question, Call(model, source, port, request), rule, steps)


def _through(question: Question, call: Call, rule: RouteRule, steps: list[Step]) -> Explanation:
    parts = shares(rule)
    steps.append(route_step(rule, parts))
    if not parts:
        return _no_backend(question, call, rule, steps)
    for make in REQUEST_STEPS:
        steps += make(call)
    ports = [call.model.services[backend.port] for backend, _ in parts]
    arrivals = [arrive(call, port) for port in ports]
    steps += [step for arrival in arrivals for step in arrival.steps]
    steps.append(transport_step(call.model, call.source.identity, ports))
    deniers = [identity for arrival in arrivals for identity in arrival.denied]
    steps += mistake_steps(call.model, steps, deniers)
    backends = tuple((str(backend.port), percent) for backend, percent in parts)
    return _verdict(question, call, steps, arrivals, backends)


def _no_backend(question: Question, call: Call, rule: RouteRule, steps: list[Step]) -> Explanation:
    steps += mistake_steps(call.model, steps, ())
    text = f"{rule.origin} leaves no backend: 503"
    advice = (
        f"In {rule.origin}, name a service that has port {call.port.name.port}, with a weight "
        "above 0."
    )
    return ended(question, steps, "no backend", text, (advice,))


def _verdict(
    question: Question,
    call: Call,
    steps: list[Step],
    arrivals: list[Arrival],
    backends: tuple[tuple[str, float], ...],
) -> Explanation:
    denied = [target for arrival in arrivals for target in arrival.targets]
    has_access = any(arrival.allowed for arrival in arrivals)
    ready = [e for a in arrivals for e in call.model.endpoints.get(a.port.name, ())]
    names = [f"{call.source.namespace}/{call.source.name}"]
    names += [f"{endpoint.namespace}/{endpoint.workload}" for endpoint in ready]
    verdict, remedy = "allowed", ""
    advice: tuple[str, ...] = ()
    if denied:
        verdict = "partly denied" if has_access else "denied"
        summary = _denial(call, sorted({identity.short for identity, _ in denied}))
        remedy = remedy_for(call.model, call.source.identity, denied, call.request)
    elif not has_access:
        verdict, summary = "no endpoints", "no workload stands behind the service"
        backends = ()
    elif not ready:
        verdict = "no endpoints"
        summary = "allowed, but no workload behind the service is ready: 503"
    elif not any(takes_calls(call.model, arrival.port) for arrival in arrivals):
        verdict = "no endpoints"
        summary = (
            "allowed, but no ready workload behind the service has a proxy of the mesh: "
            f"{what_callers_get(call)}"
        )
        advice = advice_about(
            call.model, [w for arrival in arrivals for w in behind(call.model, arrival.port)]
        )
    else:
        way = ", ".join(f"{name} ({percent:g} %)" for name, percent in backends)
        summary = f"allowed, to {way}"
    return Explanation(
        question=question,
        verdict=verdict,
        allowed=has_access and not denied,
        summary=summary,
        steps=tuple(steps),
        backends=backends,
        remedy=remedy,
        advice=advice,
        workloads=tuple(dict.fromkeys(names)),
    )


def _denial(call: Call, by: list[str]) -> str:
    request = call.request
    what = f"send {request.method} {request.path}" if request else "open a TCP connection"
    return f"no access rule lets {call.source.identity.short} {what} to {', '.join(by)}"


def _unknown_destination(
    model: Model, question: Question, destination: Destination, source: Workload, steps: list[Step]
) -> Explanation:
    called = destination.called
    text = f"the mesh knows no service port {called!r}; the proxy answers 404, or closes TCP"
    steps.append(Step("destination", "failed", text))
    remedy, said = egress_remedy(model, question, called, source)
    advice = (*did_you_mean(suggested_services(model, called)), *said)
    summary = f"there is no service port {called!r}"
    return ended(question, steps, "no route", summary, advice, remedy)
