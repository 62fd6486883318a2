"""What else decides about a request: retries and limits, as steps of an explanation."""

from collections.abc import Iterator

from osm.core.explain.call import Call
from osm.core.explain.explanation import Step
from osm.core.model.request import Request, path_fits
from osm.core.model.retry import retry_key
from osm.core.model.route import PathMatch
from osm.core.model.service import ServicePort
from osm.core.model.upstream import (
    ANY_PATH,
    NO_LIMIT,
    ConnectionLimits,
    HttpLimit,
    Rate,
    RouteLimit,
    UpstreamLimits,
    limited_paths,
)

_PERIODS = {1: "second", 60: "minute", 3600: "hour"}


def retry_steps(call: Call) -> Iterator[Step]:
    """How the caller's proxy tries again, if somebody has said so."""
    policy = call.model.retries.get(retry_key(call.source.identity, call.port.name.service))
    if policy is not None:
        text = f"up to {policy.retries} more tries on {', '.join(policy.conditions)}"
        if policy.try_timeout_ns:
            text += f", each for at most {policy.try_timeout_ns / 10**9:g} s"
        yield Step("retries", "info", text, (policy.origin,))


def request_limit_steps(call: Call) -> Iterator[Step]:
    """The limit of requests that counts for this one: that of its route, else that of its host."""
    limits = call.model.upstreams.get(call.port.name.service)
    if limits is None or call.request is None:
        return
    route = limiting_route(call, limits, call.request)
    limit = (route.limit if route else None) or limits.http
    if limit is not None:
        yield Step("request limit", "info", _of_requests(limit), (limit.origin,))


def limiting_route(call: Call, limits: UpstreamLimits, request: Request) -> RouteLimit | None:
    """The first route with limits of its own that takes a request, of those that access rules have."""
    rules = [rule for who in call.port.identities for rule in call.model.access.get(who, ())]
    paths = limited_paths(rules, permissive=call.model.settings.permissive)
    fitting = (
        route
        for route in limits.routes
        if route.path in paths
        and (route.path == ANY_PATH or path_fits(PathMatch("regex", route.path), request.path))
    )
    return next(fitting, None)


def connection_limit_steps(call: Call, backend: ServicePort) -> Iterator[Step]:
    """Limits of connections: the caller's, and those that the called workload lets in."""
    limits = call.model.upstreams.get(backend.name.service)
    if limits is None:
        return
    texts = list(_of_connections(limits.connections)) if limits.connections else []
    if limits.tcp:
        texts.append(f"connections that each workload lets in: {_rate(limits.tcp)}")
    if texts:
        title = f"connection limits of {backend.name}"
        yield Step(title, "info", "; ".join(texts), (limits.origin,))


def _of_requests(limit: HttpLimit) -> str:
    return f"requests that each workload takes: {_rate(limit.rate)}; others get {limit.status}"


def _of_connections(limits: ConnectionLimits) -> Iterator[str]:
    """What one proxy does at most."""
    for count, what in (
        (limits.connections, "connections"),
        (limits.requests, "requests at a time"),
        (limits.pending_requests, "requests that wait"),
        (limits.retries, "retries at a time"),
    ):
        if count != NO_LIMIT:
            yield f"at most {count} {what}"
    if limits.requests_per_connection:
        yield f"{limits.requests_per_connection} requests on each connection"
    if limits.connect_timeout_ns:
        yield f"{limits.connect_timeout_ns / 10**9:g} s to connect"


def _rate(rate: Rate) -> str:
    burst = f" (and once {rate.burst} more)" if rate.burst else ""
    return f"{rate.count} per {_PERIODS[rate.period_s]}{burst}"
