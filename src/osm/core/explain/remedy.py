"""What to add so that a denied request passes: objects that can be applied as they are printed."""

from collections.abc import Sequence

from osm.core.explain.access import asked, is_allowed_by
from osm.core.explain.objects import Names, Object, account, made_object, printed, route_group
from osm.core.model.access import AccessRule
from osm.core.model.groups import ACCESS, SPECS
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.request import Request
from osm.core.model.service import ServicePort


def remedy_for(
    model: Model,
    source: Identity,
    targets: Sequence[tuple[Identity, ServicePort]],
    request: Request | None,
) -> str:
    """YAML of the TrafficTargets (and route groups) that would allow it.

    An existing match of the destination that fits the request is used again; otherwise one for
    exactly this request is made. No name is that of an object which has a part in access already.
    """
    names = Names(model)
    documents: dict[tuple[Identity, object], list[Object]] = {}
    for destination, port in sorted(set(targets)):
        known = _existing_rule(model, destination, port, request)
        # One answer for two ports of a destination, unless it is about the port.
        place = known.match_origin if known else (port.target_port if request is None else None)
        if (destination, place) not in documents:
            name = names.free(destination.namespace, _wanted_name(source, destination))
            made = _documents(name, source, destination, port, request, known)
            documents[destination, place] = made
    return printed(document for made in documents.values() for document in made)


def _wanted_name(source: Identity, destination: Identity) -> str:
    base = f"{source.service_account}-to-{destination.service_account}"
    return base if source.namespace == destination.namespace else f"{source.namespace}-{base}"


def _documents(
    name: str,
    source: Identity,
    destination: Identity,
    port: ServicePort,
    request: Request | None,
    known: AccessRule | None,
) -> list[Object]:
    if known is not None and known.match_origin is not None:
        match_name = known.match_origin.field.partition(" (")[2].removesuffix(")")
        rule: dict[str, object] = {"kind": known.match_origin.kind, "name": known.match_origin.name}
        if match_name:
            rule["matches"] = [match_name]
        return [_target(name, source, destination, rule)]
    if request is None:
        spec: Object = {"matches": {"ports": [port.target_port]}}
        route = made_object(SPECS, "TCPRoute", destination.namespace, name, spec)
        return [route, _target(name, source, destination, {"kind": "TCPRoute", "name": name})]
    group = route_group(destination.namespace, name, request)
    rule = {"kind": "HTTPRouteGroup", "name": name, "matches": ["request"]}
    return [group, _target(name, source, destination, rule)]


def _existing_rule(
    model: Model, destination: Identity, port: ServicePort, request: Request | None
) -> AccessRule | None:
    """A rule that would let the request in, if only it came from one of the rule's own sources."""
    for rule in model.access.get(destination, ()):
        if is_allowed_by(rule, asked(rule.sources[0], destination, port, request)):
            return rule
    return None


def _target(name: str, source: Identity, destination: Identity, rule: Object) -> Object:
    spec = {"destination": account(destination), "rules": [rule], "sources": [account(source)]}
    return made_object(ACCESS, "TrafficTarget", destination.namespace, name, spec)
