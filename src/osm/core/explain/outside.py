"""May somebody outside of the mesh send this request: what the IngressBackends say."""

from ipaddress import AddressValueError, IPv4Address, IPv4Network

from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.misfit import misfits
from osm.core.explain.naming import did_you_mean, port_problem, suggested_services
from osm.core.explain.objects import Names
from osm.core.explain.reading import EarlyAnswer, path_steps, read_request
from osm.core.explain.remedy_ingress import ingress_remedy
from osm.core.model.directory import service_names
from osm.core.model.ingress import ANY_PRINCIPAL, IngressRule
from osm.core.model.mesh import Model, WorkloadKey
from osm.core.model.request import Request, as_received, fits
from osm.core.model.service import ServicePort


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
    if problem := port_problem(question.destination):
        return ended(question, steps, "bad destination", problem)
    pods = _pods(model, host)
    if not pods:
        text = f"the mesh knows no service {host!r} with a pod behind it"
        advice = did_you_mean(suggested_services(model, host))
        return ended(
            question, [*steps, Step("destination", "failed", text)], "no route", text, advice
        )
    rules = {
        rule
        for pod in pods
        for rule in model.ingress.get(pod, ())
        if not colon or rule.port == int(number)
    }
    if not rules:
        return _closed(model, question, host, int(number or 0), steps)
    if len(rules) > 1:
        ports = ", ".join(sorted({str(rule.port) for rule in rules}))
        text = f"several ports take something from outside ({ports}): name one"
        return ended(question, steps, "bad destination", text)
    (rule,) = rules
    return _through(question, rule, steps)


def _pods(model: Model, host: str) -> list[WorkloadKey]:
    ports = {port.name for port in _ports(model, host)}
    return sorted(pod for pod, names in model.services_of.items() if ports.intersection(names))


def _ports(model: Model, host: str) -> list[ServicePort]:
    names = {
        port for name in service_names(host.lower(), "") for port in model.ports_of.get(name, ())
    }
    return [model.services[name] for name in sorted(names)]


def _closed(
    model: Model, question: Question, host: str, number: int, steps: list[Step]
) -> Explanation:
    """No IngressBackend is for the port. HTTP ports of the mesh can have one."""
    text = f"no IngressBackend lets anything from outside reach {question.destination}"
    steps.append(Step("ingress", "denied", text))
    ports = [port for port in _ports(model, host) if port.target_port and port.protocol.is_http]
    numbers = sorted({port.target_port for port in ports})
    if not number and len(numbers) > 1:
        advice = f"Name a port of the pods: {', '.join(map(str, numbers))}."
        return ended(question, steps, "denied", text, (advice,))
    fitting = [port for port in ports if number in (0, port.target_port)]
    request = read_request(question)
    if isinstance(request, EarlyAnswer) or not fitting:
        known = ", ".join(map(str, numbers)) or "none"
        advice = (
            f"An IngressBackend needs an HTTP port of the pods behind {host}; there is {known}."
        )
        return ended(question, steps, "denied", text, () if fitting else (advice,))
    remedy = ingress_remedy(Names(model), question.source, fitting[0], request)
    return ended(question, steps, "denied", text, remedy=remedy)


def _through(question: Question, rule: IngressRule, steps: list[Step]) -> Explanation:
    spoken = "HTTPS" if rule.tls else "plain HTTP"
    text = f"{rule.origin} takes {spoken} at port {rule.port}"
    if rule.server_names:
        text += f", for the server names {', '.join(rule.server_names)}"
    steps.append(Step("ingress", "ok", text, (rule.origin,)))
    read = read_request(question)
    if isinstance(read, EarlyAnswer):
        steps.append(Step("path", "failed", read.text))
        return ended(question, steps, read.verdict, read.text)
    steps += path_steps(question, read)
    read = as_received(read)
    principal = _principal_step(rule)
    decisions = (
        (_address_step(question, rule), _more_addresses(question, rule)),
        (principal, f"Add an `AuthenticatedPrincipal` to {_field('sources', rule)}."),
        (
            _request_step(read, rule),
            f"Add an HTTPRouteGroup that fits to {_field('matches', rule)}.",
        ),
    )
    for step, advice in decisions:
        steps.append(step)
        if step.outcome == "denied":
            return ended(question, steps, "denied", step.text, (advice,))
    summary = f"allowed by {rule.origin}"
    if rule.principals is not None:
        summary += f", if {principal.text}"
    return Explanation(question, "allowed", True, summary, tuple(steps))


def _field(name: str, rule: IngressRule) -> str:
    return f"`spec.{name}` of {rule.origin.kind} {rule.origin.namespace}/{rule.origin.name}"


def _more_addresses(question: Question, rule: IngressRule) -> str:
    return f"Add `{{kind: IPRange, name: {question.source}/32}}` to {_field('sources', rule)}."


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


def _request_step(request: Request, rule: IngressRule) -> Step:
    if rule.matches is None:
        return Step("request", "ok", "every request is allowed", (rule.origin,))
    wrong = [(match, list(misfits(match.http, request, fits))) for match in rule.matches]
    for match, problems in wrong:
        if not problems:
            return Step("request", "ok", f"{match.origin} fits it", (match.origin,))
    looked = ", ".join(str(match.origin) for match in rule.matches) or "none that exists"
    text = f"no match of {rule.origin} fits the request (looked at {looked})"
    if wrong:
        closest, problems = min(wrong, key=lambda pair: len(pair[1]))
        text += f"; closest: {closest.origin}, but {'; '.join(problems)}"
    return Step("request", "denied", text, tuple(match.origin for match in rule.matches))
