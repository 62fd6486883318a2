"""Which rule of a route takes a request, why not the ones before it, and where it goes."""

from osm.core.explain.explanation import Step
from osm.core.explain.misfit import misfits
from osm.core.model.mesh import Model
from osm.core.model.request import Request, route_fits
from osm.core.model.route import Backend, Route, RouteRule
from osm.core.model.service import PortName, ServiceName, ServicePort


def choose_rule(route: Route, request: Request | None) -> tuple[RouteRule | None, list[Step]]:
    """The first rule that fits, and what was wrong with those before it. TCP takes the last one."""
    if request is None:
        return route.rules[-1], []
    passed: list[Step] = []
    for rule in route.rules:
        if not rule.matches or any(route_fits(match, request) for match in rule.matches):
            return rule, passed
        passed.append(_passed_over(rule, request))
    return None, passed


def reached_by_address(model: Model, port: ServicePort) -> ServicePort:
    """TCP goes by address alone: with a headless service that is split, calls to one pod of it are
    split as well.
    """
    service = port.name.service
    name = PortName(ServiceName(service.namespace, service.name), port.name.port)
    whole = model.services.get(name)
    if port.protocol.is_http or not service.subdomain or whole is None or whole.protocol.is_http:
        return port
    return port if model.routes[name].rules[-1].backends == (Backend(name),) else whole


def shares(rule: RouteRule) -> list[tuple[Backend, float]]:
    """The backends that get something, with their percentages."""
    total = sum(backend.weight for backend in rule.backends)
    return [
        (backend, round(100 * backend.weight / total, 2))
        for backend in rule.backends
        if backend.weight > 0
    ]


def route_step(rule: RouteRule, shares: list[tuple[Backend, float]]) -> Step:
    """Where the rule sends it."""
    way = ", ".join(f"{percent:g} % to {backend.port}" for backend, percent in shares)
    return Step("route", "ok" if shares else "failed", way or "no backend", (rule.origin,))


def _passed_over(rule: RouteRule, request: Request) -> Step:
    wrong = [list(misfits(match, request, route_fits)) for match in rule.matches]
    closest = min(wrong, key=len)
    text = f"{rule.origin} is for other requests: {'; '.join(closest)}"
    return Step("rule before", "info", text, (rule.origin,))
