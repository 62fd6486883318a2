"""May somebody outside of the mesh send this request: what the IngressBackends say."""

from ipaddress import AddressValueError, IPv4Address, IPv4Network

from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.model.directory import service_names
from osm.core.model.ingress import ANY_PRINCIPAL, IngressRule
from osm.core.model.mesh import Model, WorkloadKey
from osm.core.model.request import (
    Request,
    fits,
    has_escaped_slash,
    is_refused_path,
    normalise_path,
    split_target,
)


def is_outside(source: str) -> bool:
    """Whether a question's source is an address instead of a workload."""
    try:
        IPv4Address(source)
    except AddressValueError:
        return False
    return True


def explain_outside(model: Model, question: Question) -> Explanation:
    """Follow a request from an address. The port is the pods', as outside of the mesh."""
    host, colon, number = question.destination.partition(":")
    steps = [Step("source", "info", f"{question.source}, outside of the mesh")]
    if colon and not number.isdecimal():
        return _end(question, steps, "bad destination", f"{number!r} is not a port")
    pods = _pods(model, host)
    if not pods:
        text = f"the mesh knows no service {host!r} with a pod behind it"
        return _end(question, [*steps, Step("destination", "failed", text)], "no route", text)
    rules = {
        rule
        for pod in pods
        for rule in model.ingress.get(pod, ())
        if not colon or rule.port == int(number)
    }
    if not rules:
        text = f"no IngressBackend lets anything from outside reach {question.destination}"
        return _end(question, [*steps, Step("ingress", "denied", text)], "denied", text)
    if len(rules) > 1:
        ports = ", ".join(sorted({str(rule.port) for rule in rules}))
        text = f"several ports take something from outside ({ports}): name one"
        return _end(question, steps, "bad destination", text)
    (rule,) = rules
    return _through(question, rule, steps)


def _pods(model: Model, host: str) -> list[WorkloadKey]:
    names = set(service_names(host.lower(), ""))
    found = {port for name in names for port in model.ports_of.get(name, ())}
    return sorted(pod for pod, ports in model.services_of.items() if found.intersection(ports))


def _through(question: Question, rule: IngressRule, steps: list[Step]) -> Explanation:
    spoken = "HTTPS" if rule.tls else "plain HTTP"
    text = f"{rule.origin} takes {spoken} at port {rule.port}"
    if rule.server_names:
        text += f", for the server names {', '.join(rule.server_names)}"
    steps.append(Step("ingress", "ok", text, (rule.origin,)))
    decisions = [
        _address_step(question, rule),
        _principal_step(rule),
        _request_step(question, rule),
    ]
    for step in decisions:
        steps.append(step)
        if step.outcome in ("denied", "failed"):
            verdict = "denied" if step.outcome == "denied" else step.title
            return _end(question, steps, verdict, step.text)
    summary = f"allowed by {rule.origin}"
    if rule.principals is not None:
        summary += f", if {decisions[1].text}"
    return Explanation(question, "allowed", True, summary, tuple(steps))


def _address_step(question: Question, rule: IngressRule) -> Step:
    if rule.addresses is None:
        return Step("address", "ok", "every address may call", (rule.origin,))
    address = IPv4Address(question.source)
    fitting = next((text for text in rule.addresses if address in IPv4Network(text)), "")
    if fitting:
        return Step("address", "ok", f"{question.source} is in {fitting}", (rule.origin,))
    known = ", ".join(rule.addresses) or "nobody"
    text = f"{question.source} may not call; the sources of {rule.origin} are {known}"
    return Step("address", "denied", text, (rule.origin,))


def _principal_step(rule: IngressRule) -> Step:
    if rule.principals is None:
        return Step("certificate", "ok", "no client certificate is asked for", (rule.origin,))
    if not rule.principals:
        text = f"{rule.origin} names no principal"
        return Step("certificate", "denied", text, (rule.origin,))
    if ANY_PRINCIPAL in rule.principals:
        text = "the client shows a certificate of the mesh's root"
    else:
        text = f"the client's certificate shows {' or '.join(rule.principals)}"
    return Step("certificate", "info", text, (rule.origin,))


def _request_step(question: Question, rule: IngressRule) -> Step:
    raw_path, query = split_target(question.path or "/")
    if is_refused_path(raw_path):
        return Step("refused", "failed", "a path that no URL can have is answered with 400")
    if has_escaped_slash(raw_path):
        text = "a path with an escaped slash is redirected (307) to the plain path, which is what counts"
        return Step("redirected", "failed", text)
    if rule.matches is None:
        return Step("request", "ok", "every request is allowed", (rule.origin,))
    request = Request(
        method=(question.method or "GET").upper(),
        path=normalise_path(raw_path),
        authority=question.destination,
        headers=tuple((name.lower(), value) for name, value in question.headers),
        query=query,
    )
    for match in rule.matches:
        if fits(match.http, request):
            return Step("request", "ok", f"{match.origin} fits it", (match.origin,))
    looked = ", ".join(str(match.origin) for match in rule.matches) or "none that exists"
    text = f"no match of {rule.origin} fits the request (looked at {looked})"
    return Step("request", "denied", text, tuple(match.origin for match in rule.matches))


def _end(question: Question, steps: list[Step], verdict: str, summary: str) -> Explanation:
    return Explanation(question, verdict, False, summary, tuple(steps))
