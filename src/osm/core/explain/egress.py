"""Beyond the mesh: may this call leave, and which object says so."""

from collections.abc import Iterable

from osm.core.explain.explanation import Explanation, Question, Step, ended
from osm.core.explain.misfit import misfits
from osm.core.explain.objects import Names
from osm.core.explain.reading import EarlyAnswer, path_steps, read_request
from osm.core.explain.remedy_egress import connection_remedy, http_remedy, may_be_beyond
from osm.core.model.egress import (
    ConnectionEgress,
    EgressRules,
    HttpEgress,
    is_within,
    server_name_fits,
)
from osm.core.model.mesh import Model
from osm.core.model.origin import mesh_config_origin
from osm.core.model.request import Request, route_fits
from osm.core.model.service import HTTP_PORT
from osm.core.model.workload import Explicit, Workload

_MESH_WIDE = mesh_config_origin("spec.traffic.enableEgress")
_LOOPBACK = (
    "Connections to 127.0.0.0/8 never leave the pod: no proxy sees them, and no policy counts."
)


def explain_egress(
    model: Model, question: Question, called: str, source: Workload, steps: list[Step]
) -> Explanation | None:
    """What becomes of a call to what is no service of the mesh; None when nothing lets it leave."""
    host, port = _place(called)
    is_http = bool(question.method) and _speaks_http(model, source, port)
    is_told = isinstance(source.capture, Explicit)
    is_eager = source.eager if source.eager is not None else model.settings.eager
    if model.settings.egress and is_told and (is_eager or not question.method):
        # An eager proxy asks for no name, and nothing is redirected that it could let pass.
        return None
    if model.settings.egress and not question.method and port in model.destinations.http_ports:
        text = f"port {port} speaks HTTP in the mesh: what is no HTTP is answered with 400 there"
        return ended(question, [*steps, Step("protocol", "failed", text)], "no route", text)
    if model.settings.egress:
        early = read_request(question) if is_http else None
        if isinstance(early, EarlyAnswer):
            return _answered_early(question, early, steps)
        text = "the mesh does not know it, and lets everything pass to where it was going"
        return _allowed(question, source, [*steps, Step("egress", "ok", text, (_MESH_WIDE,))])
    rules = model.egress.get(source.identity, EgressRules())
    # Where nothing is redirected, an application has no way out but HTTP.
    connections = () if isinstance(source.capture, Explicit) else rules.connections
    for connection in connections:
        if connection.port == port and (step := _connection_step(connection, host, question)):
            return _allowed(question, source, [*steps, step])
    http = rules.host(host, port)
    return _explain_http(model, question, http, source, steps) if http is not None else None


def egress_remedy(
    model: Model, question: Question, called: str, source: Workload
) -> tuple[str, tuple[str, ...]]:
    """The objects that would let a call leave, or what to say where none would."""
    host, port = _place(called)
    if not may_be_beyond(model, host):
        return "", (_LOOPBACK,) if host.startswith("127.") else ()
    names = Names(model)
    if question.method:
        request = read_request(question)
        if isinstance(request, EarlyAnswer):
            return "", ()
        return http_remedy(names, source.identity, host, port, request), ()
    if isinstance(source.capture, Explicit):
        return "", ("Nothing is redirected here, so only HTTP can leave the mesh, by HTTP_PROXY.",)
    return connection_remedy(names, source.identity, host, port)


def _place(called: str) -> tuple[str, int]:
    host, _, number = called.lower().partition(":")
    return host.removesuffix("."), int(number or HTTP_PORT)


def _speaks_http(model: Model, source: Workload, port: int) -> bool:
    return isinstance(source.capture, Explicit) or port in model.destinations.http_ports


def _connection_step(grant: ConnectionEgress, host: str, question: Question) -> Step | None:
    """What a grant says of a connection. Of a name, nobody knows the address here."""
    is_address = host.replace(".", "").isdecimal()
    where = f" to addresses in {', '.join(grant.ranges)}" if grant.ranges else ""
    if is_address and not grant.admits(host):
        return None
    if not grant.tls:
        return Step("egress", "ok", f"TCP to port {grant.port}{where} may leave", (grant.origin,))
    if question.method or (grant.server_names and not server_name_fits(host, grant.server_names)):
        return None
    text = f"TLS to port {grant.port}{where} that asks for {host} may leave"
    return Step("egress", "ok", text, (grant.origin,))


def _explain_http(
    model: Model,
    question: Question,
    egress: HttpEgress,
    source: Workload,
    steps: Iterable[Step],
) -> Explanation:
    request = read_request(question)
    if isinstance(request, EarlyAnswer):
        return _answered_early(question, request, steps)
    steps = [*steps, *path_steps(question, request)]
    for each in egress.matches:
        if each.ranges and isinstance(source.capture, Explicit):
            continue  # nobody knows the address there (`envoy.egress_resources`)
        if route_fits(each.match, request):
            if (
                each.ranges
                and egress.host.replace(".", "").isdecimal()
                and not is_within(egress.host, each.ranges)
            ):
                text = f"{egress.host} may be called only at addresses in {', '.join(each.ranges)}"
                steps.append(Step("egress", "denied", text, (each.origin,)))
                return ended(question, steps, "denied", text)
            where = f", on connections to {', '.join(each.ranges)}" if each.ranges else ""
            text = f"HTTP to {egress.host}:{egress.port} may leave{where}"
            by = (each.origin, each.match_origin) if each.match_origin else (each.origin,)
            return _allowed(question, source, [*steps, Step("egress", "ok", text, by)])
    text = f"calls to {egress.host} may leave, but no match fits the request: 404"
    origins = tuple(sorted({each.origin for each in egress.matches}))
    steps.append(Step("egress", "failed", text, origins))
    steps.append(_closest(egress, request))
    remedy = http_remedy(Names(model), source.identity, egress.host, egress.port, request)
    return ended(question, steps, "no route", text, remedy=remedy)


def _closest(egress: HttpEgress, request: Request) -> Step:
    wrong = [(each, list(misfits(each.match, request, route_fits))) for each in egress.matches]
    closest, problems = min(wrong, key=lambda pair: len(pair[1]))
    origin = closest.match_origin or closest.origin
    text = f"{origin} does not fit it: {'; '.join(problems)}"
    return Step("closest match", "info", text, (origin,))


def _answered_early(question: Question, answer: EarlyAnswer, steps: Iterable[Step]) -> Explanation:
    step = Step("path", "failed", answer.text)
    return ended(question, [*steps, step], answer.verdict, answer.text)


def _allowed(question: Question, source: Workload, steps: list[Step]) -> Explanation:
    text = "what is beyond the mesh gets it as it is: without the mesh's mutual TLS"
    steps.append(Step("transport", "info", text))
    summary = f"allowed, to {question.destination}, beyond the mesh"
    workloads = (f"{source.namespace}/{source.name}",)
    return Explanation(question, "allowed", True, summary, tuple(steps), workloads=workloads)
