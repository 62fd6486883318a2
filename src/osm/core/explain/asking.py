"""Who else is asked about a call: the external authorizer, and servers that keep limits."""

from collections.abc import Iterator

from osm.core.explain.call import Call
from osm.core.explain.explanation import Step
from osm.core.explain.limits import limiting_route
from osm.core.model.authorization import AUTHORIZATION_ORIGIN
from osm.core.model.extension import ExtensionServer
from osm.core.model.global_limit import (
    CallerEntry,
    Entry,
    FixedEntry,
    GlobalHttpLimit,
    GlobalTcpLimit,
    HeaderEntry,
)
from osm.core.model.mesh import Model
from osm.core.model.service import ServicePort


def global_limit_steps(call: Call) -> Iterator[Step]:
    """The limit of requests that a server keeps: that of the route, else that of the host."""
    limits = call.model.upstreams.get(call.port.name.service)
    if limits is None or call.request is None or _is_asked(call.model, call.port):
        return
    route = limiting_route(call, limits, call.request)
    limit = (route.everywhere if route else None) or limits.http_everywhere
    if limit is not None:
        yield Step("global request limit", "info", _of_requests(limit), (limit.origin,))


def global_connection_steps(call: Call, backend: ServicePort) -> Iterator[Step]:
    """The limit of connections that a server keeps."""
    limits = call.model.upstreams.get(backend.name.service)
    limit = limits.tcp_everywhere if limits else None
    if limit is not None and not _is_asked(call.model, backend):
        about = " and ".join(
            ", ".join(f"{key}={value}" for key, value in descriptor)
            for descriptor in limit.descriptors
        )
        text = f"each connection: {_question(limit, about)}; too many are closed"
        title = f"global connection limit of {backend.name}"
        yield Step(title, "info", text, (limit.origin,))


def authorizer_steps(call: Call, backend: ServicePort) -> Iterator[Step]:
    """The external authorizer is asked about what access rules let in."""
    authorization = call.model.settings.authorization
    if authorization is None or call.request is None:
        return
    if _is_asked(call.model, backend):
        text = "nobody is asked about calls of a server that proxies themselves ask"
    else:
        what = "passes" if authorization.failure_mode_allow else "is refused"
        text = (
            f"{_name(authorization.server)} decides, within {authorization.timeout_ns / 10**9:g} s; "
            f"without an answer the request {what}"
        )
    title = f"external authorization of {backend.name}"
    yield Step(title, "info", text, (AUTHORIZATION_ORIGIN,))


def _is_asked(model: Model, port: ServicePort) -> bool:
    """Whether proxies themselves ask the workloads behind a port."""
    places = {(each.namespace, each.workload) for each in model.endpoints.get(port.name, ())}
    return any(name in model.asked for place in places for name in model.services_of.get(place, ()))


def _of_requests(limit: GlobalHttpLimit) -> str:
    about = " and ".join(", ".join(map(_entry, descriptor)) for descriptor in limit.descriptors)
    return f"{_question(limit, about)}; too many get {limit.status}"


def _question(limit: GlobalHttpLimit | GlobalTcpLimit, about: str) -> str:
    else_ = "passes" if limit.fail_open else "is refused"
    wait = f"{limit.timeout_ns / 10**6:g} ms"
    return (
        f"{_name(limit.server)} is asked (domain {limit.domain}) about {about}; without an answer "
        f"within {wait} it {else_}"
    )


def _entry(entry: Entry) -> str:
    match entry:
        case FixedEntry(key, value):
            return f"{key}={value}"
        case CallerEntry():
            return "remote_address"
        case HeaderEntry(key, header):
            return f"{key}=(header {header})"
    fits = "fit" if entry.expected else "do not fit"
    return f"{entry.key}={entry.value} (if the headers {fits})"


def _name(server: ExtensionServer) -> str:
    return f"{server.host}:{server.port}"
