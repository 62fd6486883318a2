"""Which virtual host and which route take a request."""

from collections.abc import Iterable

import re2

from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.call import Request
from osm.core.explain.simulation.matchers import text_fits

VirtualHost = route_components_pb2.VirtualHost
Route = route_components_pb2.Route


def host_for(hosts: Iterable[VirtualHost], authority: str) -> VirtualHost | None:
    """The host that has the authority as a domain, else the one for all others."""
    wanted, everything = authority.lower(), None
    for host in hosts:
        for domain in host.domains:
            if domain.lower() == wanted:
                return host
            if domain == "*":
                everything = host
            elif "*" in domain:
                raise NotSimulated(f"the simulation does not know the domain {domain}")
    return everything


def route_for(host: VirtualHost, request: Request) -> Route | None:
    """The first route that fits."""
    return next((route for route in host.routes if _fits(route.match, request)), None)


def _fits(match: route_components_pb2.RouteMatch, request: Request) -> bool:
    if not _path_fits(match, request.path):
        return False
    if match.HasField("grpc") and not _is_grpc(request):
        return False
    # Envoy looks at each line of a header that was sent several times (measured with Envoy 1.40).
    if not all(
        any(text_fits(header.string_match, line) for line in request.lines(header.name))
        for header in match.headers
    ):
        return False
    for wanted in match.query_parameters:
        value = request.parameter(wanted.name)
        if value is None or not text_fits(wanted.string_match, value):
            return False
    return True


def _path_fits(match: route_components_pb2.RouteMatch, path: str) -> bool:
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return path.startswith(match.prefix)
        case "path":
            return path == match.path
        case "safe_regex":
            return bool(re2.fullmatch(match.safe_regex.regex, path))
        case "path_separated_prefix":
            prefix = match.path_separated_prefix
            return path == prefix or path.startswith(f"{prefix}/")
    raise NotSimulated("the simulation does not know a route without a path")


def _is_grpc(request: Request) -> bool:
    return any(
        value == "application/grpc" or value.startswith("application/grpc+")
        for value in request.lines("content-type")
    )
