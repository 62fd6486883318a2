"""Beyond the mesh: may this call leave, and which object says so."""

from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.model.egress import ConnectionEgress, EgressRules, HttpEgress, server_name_fits
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.request import Request, normalise_path, route_fits, split_target
from osm.core.model.workload import Explicit, Workload

HTTP_PORT = 80
_MESH_WIDE = Origin(
    "MeshConfig", "", "osm-mesh-config", "spec.traffic.enableEgress", "config.openservicemesh.io"
)


def explain_egress(
    model: Model, question: Question, source: Workload, steps: list[Step]
) -> Explanation | None:
    """What becomes of a call to what is no service of the mesh; None when nothing lets it leave."""
    host, _, number = question.destination.lower().partition(":")
    host, port = host.removesuffix("."), int(number or HTTP_PORT)
    if model.settings.egress:
        text = "the mesh does not know it, and lets everything pass to where it was going"
        found = Step("egress", "ok", text, (_MESH_WIDE,))
        return _allowed(question, [*steps, found])
    rules = model.egress.get(source.identity, EgressRules())
    http = rules.host(host, port)
    # Where nothing is redirected, an application has no way out but HTTP.
    connections = () if isinstance(source.capture, Explicit) else rules.connections
    for connection in connections:
        if connection.port == port and (step := _connection_step(connection, host, question)):
            return _allowed(question, [*steps, step])
    if http is not None:
        return _explain_http(question, http, [*steps])
    return None


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


def _explain_http(question: Question, egress: HttpEgress, steps: list[Step]) -> Explanation:
    path, query = split_target(question.path or "/")
    request = Request(
        method=(question.method or "GET").upper(),
        path=normalise_path(path),
        authority=question.destination,
        headers=tuple((name.lower(), value) for name, value in question.headers),
        query=query,
    )
    origins = tuple(sorted({each.origin for each in egress.matches}))
    for each in egress.matches:
        if route_fits(each.match, request):
            where = f", on connections to {', '.join(each.ranges)}" if each.ranges else ""
            text = f"HTTP to {egress.host}:{egress.port} may leave{where}"
            by = (each.origin, each.match_origin) if each.match_origin else (each.origin,)
            return _allowed(question, [*steps, Step("egress", "ok", text, by)])
    text = f"calls to {egress.host} may leave, but no match fits the request: 404"
    steps.append(Step("egress", "failed", text, origins))
    return Explanation(question, "no route", False, text, tuple(steps))


def _allowed(question: Question, steps: list[Step]) -> Explanation:
    text = "what is beyond the mesh gets it as it is: without the mesh's mutual TLS"
    steps.append(Step("transport", "info", text))
    summary = f"allowed, to {question.destination}, beyond the mesh"
    return Explanation(question, "allowed", True, summary, tuple(steps))
