"""May this request pass, where does it go, and which object says so: answered from the model alone."""

from osm.core.explain.egress import explain_egress
from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.explain.limits import (
    connection_limit_steps,
    request_limit_steps,
    retry_steps,
)
from osm.core.explain.outside import explain_outside, is_outside
from osm.core.explain.remedy import remedy_for
from osm.core.model.access import AccessRule
from osm.core.model.directory import Directory
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.request import (
    Request,
    fits,
    has_escaped_slash,
    is_refused_path,
    normalise_path,
    route_fits,
    split_target,
)
from osm.core.model.route import Backend, RouteRule
from osm.core.model.service import ServicePort
from osm.core.model.workload import Workload


def explain(model: Model, question: Question) -> Explanation:
    """Follow a request (or a TCP connection) from its source to its destination."""
    directory = Directory(model)
    sources = directory.workloads(question.source)
    if not sources:
        return _no_workload(model, question)
    source = sources[0]
    steps = [_source_step(source)]
    _, colon, number = question.destination.rpartition(":")
    if colon and not number.isdecimal():
        return _end(question, steps, "bad destination", f"{number!r} is not a port")
    port = directory.by_authority(question.destination, 0, source.namespace)
    if port is None and not colon:
        port = _only_port(model, directory, question.destination, source.namespace)
    if port is None and (beyond := explain_egress(model, question, source, steps)):
        return beyond
    if port is None:
        port = _elsewhere(model, question.destination)
        if port is not None:
            steps.append(_elsewhere_step(question.destination, source.namespace, port))
    if port is None:
        return _unknown_destination(question, steps)
    steps.append(_destination_step(port))
    if bool(question.method) != port.protocol.is_http:
        spoken = "HTTP" if port.protocol.is_http else "TCP"
        steps.append(
            Step("protocol", "info", f"the port speaks {port.protocol}: explained as {spoken}")
        )
    if port.protocol.is_http:
        return _explain_http(model, question, source, port, steps)
    return _explain_tcp(model, question, source, port, steps)


def _no_workload(model: Model, question: Question) -> Explanation:
    if is_outside(question.source):
        return explain_outside(model, question)
    return _end(question, [], "unknown source", f"no workload is called {question.source!r}")


def _explain_http(
    model: Model, question: Question, source: Workload, port: ServicePort, steps: list[Step]
) -> Explanation:
    raw_path, query = split_target(question.path or "/")
    if is_refused_path(raw_path):
        text = "a path that no URL can have is answered with 400"
        steps.append(Step("path", "failed", text))
        return _end(question, steps, "refused", text)
    if has_escaped_slash(raw_path):
        text = "a path with an escaped slash is redirected (307) to the plain path, which is what counts"
        steps.append(Step("path", "failed", text))
        return _end(question, steps, "redirected", text)
    request = Request(
        method=(question.method or "GET").upper(),
        path=normalise_path(raw_path),
        authority=question.destination,
        headers=tuple((name.lower(), value) for name, value in question.headers),
        query=query,
    )
    if request.path != raw_path:
        steps.append(Step("path", "info", f"normalised to {request.path}"))
    rule = next(
        (
            rule
            for rule in model.routes[port.name].rules
            if not rule.matches or any(route_fits(match, request) for match in rule.matches)
        ),
        None,
    )
    if rule is None:
        steps.append(Step("route", "failed", "no rule of the route fits: 404"))
        return _end(question, steps, "no route", "no rule of the route fits the request")
    steps += retry_steps(model, source.identity, port)
    steps += request_limit_steps(model, port, request)
    return _through_rule(model, question, source, rule, steps, request)


def _explain_tcp(
    model: Model, question: Question, source: Workload, port: ServicePort, steps: list[Step]
) -> Explanation:
    rule = model.routes[port.name].rules[-1]
    return _through_rule(model, question, source, rule, steps, None)


def _through_rule(
    model: Model,
    question: Question,
    source: Workload,
    rule: RouteRule,
    steps: list[Step],
    request: Request | None,
) -> Explanation:
    shares = _shares(rule)
    steps.append(_route_step(rule, shares))
    if not shares:
        return _end(question, steps, "no backend", f"{rule.origin} leaves no backend: 503")
    allowed: list[str] = []
    denied: list[tuple[Backend, Identity]] = []
    for backend, _ in shares:
        port = model.services[backend.port]
        if not port.target_port:
            text = "its target port is a name that no workload behind it has"
            steps.append(Step(f"endpoints of {port.name}", "failed", text))
            continue
        for identity in port.identities:
            decision = _access_step(model, source.identity, identity, port, request)
            steps.append(decision)
            if decision.outcome == "ok":
                allowed.append(str(backend.port))
            else:
                denied.append((backend, identity))
        steps += connection_limit_steps(model, port)
        steps.append(_endpoint_step(model, port))
    steps.append(_transport_step(model, source, [model.services[b.port] for b, _ in shares]))
    backends = tuple((str(backend.port), percent) for backend, percent in shares)
    if denied:
        verdict = "denied" if not allowed else "partly denied"
        who = sorted({identity.short for _, identity in denied})
        what = f"send {request.method} {request.path}" if request else "open a TCP connection"
        summary = f"no access rule lets {source.identity.short} {what} to {', '.join(who)}"
        targets = [(identity, model.services[backend.port]) for backend, identity in denied]
        return Explanation(
            question,
            verdict,
            False,
            summary,
            tuple(steps),
            backends,
            remedy_for(model, source.identity, targets, request),
        )
    if not allowed:
        return _end(question, steps, "no endpoints", "no workload stands behind the service")
    if not any(model.endpoints.get(b.port) for b, _ in shares):
        summary = "allowed, but no workload behind the service is ready: 503"
        return Explanation(question, "no endpoints", True, summary, tuple(steps), backends)
    way = ", ".join(f"{name} ({percent:g} %)" for name, percent in backends)
    return Explanation(question, "allowed", True, f"allowed, to {way}", tuple(steps), backends)


def _shares(rule: RouteRule) -> list[tuple[Backend, float]]:
    total = sum(backend.weight for backend in rule.backends)
    return [
        (backend, round(100 * backend.weight / total, 2))
        for backend in rule.backends
        if backend.weight > 0
    ]


def _only_port(model: Model, directory: Directory, host: str, namespace: str) -> ServicePort | None:
    """A service named without a port that has only one."""
    found = [
        port
        for port in model.services.values()
        if directory.by_authority(f"{host}:{port.name.port}", 0, namespace) == port
    ]
    return found[0] if len(found) == 1 else None


def _elsewhere(model: Model, destination: str) -> ServicePort | None:
    """The one service of another namespace that somebody who asks may mean by a short name."""
    host, _, number = destination.partition(":")
    found = [
        port
        for port in model.services.values()
        if port.name.service.name == host
        and not port.name.service.subdomain
        and number in ("", str(port.name.port))
    ]
    return found[0] if len(found) == 1 else None


def _elsewhere_step(destination: str, namespace: str, port: ServicePort) -> Step:
    service = port.name.service
    text = (
        f"namespace {namespace} has no service {destination.partition(':')[0]!r}; taken as "
        f"{service.name}.{service.namespace}, which is what an application there must write"
    )
    return Step("name", "info", text)


def _access_step(
    model: Model,
    source: Identity,
    destination: Identity,
    port: ServicePort,
    request: Request | None,
) -> Step:
    title = f"access to {destination.short}"
    if model.settings.permissive:
        return Step(
            title, "ok", "permissive mode allows every identity of the mesh", (_mesh_config(),)
        )
    rules = [
        rule
        for rule in model.access.get(destination, ())
        if (rule.http is None) == (request is None)
        and (not rule.ports or port.target_port in rule.ports)
    ]
    from_source = [rule for rule in rules if source in rule.sources]
    for rule in from_source:
        if request is None or rule.http is None or fits(rule.http, request):
            return Step(title, "ok", f"{rule.origin} allows it{_by(rule)}", _origins(rule))
    if from_source:
        looked = ", ".join(sorted({str(rule.match_origin or rule.origin) for rule in from_source}))
        text = f"{source.short} may call it, but no match fits the request (looked at {looked})"
        return Step(title, "denied", text, tuple(o for rule in from_source for o in _origins(rule)))
    kind = "TCP" if request is None else "HTTP"
    text = f"no {kind} access rule for {destination.short} names {source.short} as a source"
    return Step(title, "denied", text, tuple(sorted({rule.origin for rule in rules})))


def _by(rule: AccessRule) -> str:
    return f", by {rule.match_origin}" if rule.match_origin else ""


def _origins(rule: AccessRule) -> tuple[Origin, ...]:
    return (rule.origin, rule.match_origin) if rule.match_origin else (rule.origin,)


def _mesh_config() -> Origin:
    return Origin(
        "MeshConfig",
        "",
        "osm-mesh-config",
        "spec.traffic.enablePermissiveTrafficPolicyMode",
        "config.openservicemesh.io",
    )


def _source_step(source: Workload) -> Step:
    text = f"workload {source.namespace}/{source.name}, identity {source.identity.spiffe_id}"
    return Step("source", "ok", text, (Origin("Pod", source.namespace, source.name),))


def _destination_step(port: ServicePort) -> Step:
    name = port.name.service
    text = (
        f"service {name}, port {port.name.port} ({port.protocol}), target port {port.target_port}"
    )
    return Step(
        "destination", "ok", text, (Origin("Service", name.namespace, name.name, "spec.ports"),)
    )


def _route_step(rule: RouteRule, shares: list[tuple[Backend, float]]) -> Step:
    way = ", ".join(f"{percent:g} % to {backend.port}" for backend, percent in shares)
    return Step("route", "ok" if shares else "failed", way or "no backend", (rule.origin,))


def _endpoint_step(model: Model, port: ServicePort) -> Step:
    ready = model.endpoints.get(port.name, ())
    names = ", ".join(f"{e.namespace}/{e.workload}" for e in ready) or "none is ready"
    return Step(f"endpoints of {port.name}", "ok" if ready else "failed", names)


def _transport_step(model: Model, source: Workload, ports: list[ServicePort]) -> Step:
    accepted = sorted({i.spiffe_id for port in ports for i in port.identities})
    least, most = model.settings.tls_minimum, model.settings.tls_maximum
    versions = least if least == most else f"{least} to {most}"
    text = f"mutual TLS ({versions}); {source.identity.short} accepts {', '.join(accepted) or 'nobody'}"
    return Step("transport", "ok", text)


def _unknown_destination(question: Question, steps: list[Step]) -> Explanation:
    text = f"the mesh knows no service port {question.destination!r}; the proxy answers 404, or closes TCP"
    steps.append(Step("destination", "failed", text))
    return _end(question, steps, "no route", f"there is no service port {question.destination!r}")


def _end(question: Question, steps: list[Step], verdict: str, summary: str) -> Explanation:
    return Explanation(question, verdict, False, summary, tuple(steps))
