"""What to add so that a denied request passes: objects that can be applied as they are printed."""

from collections.abc import Mapping, Sequence
from itertools import count

import msgspec

from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.request import Request, fits
from osm.core.model.service import ServicePort

Object = Mapping[str, object]

METHODS = frozenset(
    {"GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
"""Methods that an HTTPRouteGroup can name."""
LONGEST = 500
"""Characters of a path that a regex of ours may have; `core.api` refuses those that cost too much."""


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
    taken = _names(model)
    documents: dict[tuple[Identity, object], list[Object]] = {}
    for destination, port in sorted(set(targets)):
        known = _existing_rule(model, destination, port, request)
        # One answer for two ports of a destination, unless it is about the port.
        place = known.match_origin if known else (port.target_port if request is None else None)
        if (destination, place) not in documents:
            name = _free_name(source, destination, taken)
            made = _documents(name, source, destination, port, request, known)
            documents[destination, place] = made
    return "---\n".join(_yaml(document) for made in documents.values() for document in made)


def _names(model: Model) -> set[tuple[str, str]]:
    """Namespace and name of every object that access rules come from, or are said not to."""
    rules = (rule for found in model.access.values() for rule in found)
    origins = [o for rule in rules for o in (rule.origin, rule.match_origin) if o is not None]
    origins += [finding.origin for finding in model.findings if finding.origin is not None]
    return {(origin.namespace, origin.name) for origin in origins}


def _free_name(source: Identity, destination: Identity, taken: set[tuple[str, str]]) -> str:
    base = f"{source.service_account}-to-{destination.service_account}"
    if source.namespace != destination.namespace:
        base = f"{source.namespace}-{base}"
    base = base[:240].rstrip("-.")
    spellings = (base if number == 1 else f"{base}-{number}" for number in count(1))
    name = next(name for name in spellings if (destination.namespace, name) not in taken)
    taken.add((destination.namespace, name))
    return name


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
        route = _object("specs.smi-spec.io/v1alpha4", "TCPRoute", destination.namespace, name, spec)
        return [route, _target(name, source, destination, {"kind": "TCPRoute", "name": name})]
    match = {
        "name": "request",
        "pathRegex": _regex(request.path),
        "methods": [request.method if request.method in METHODS else "*"],
    }
    group = _object(
        "specs.smi-spec.io/v1alpha4",
        "HTTPRouteGroup",
        destination.namespace,
        name,
        {"matches": [match]},
    )
    rule = {"kind": "HTTPRouteGroup", "name": name, "matches": ["request"]}
    return [group, _target(name, source, destination, rule)]


def _existing_rule(
    model: Model, destination: Identity, port: ServicePort, request: Request | None
) -> AccessRule | None:
    for rule in model.access.get(destination, ()):
        if rule.ports and port.target_port not in rule.ports:
            continue
        if request is None and rule.http is None:
            return rule
        if request is not None and rule.http is not None and fits(rule.http, request):
            return rule
    return None


def _target(name: str, source: Identity, destination: Identity, rule: Object) -> Object:
    return _object(
        "access.smi-spec.io/v1alpha3",
        "TrafficTarget",
        destination.namespace,
        name,
        {
            "destination": {
                "kind": "ServiceAccount",
                "name": destination.service_account,
                "namespace": destination.namespace,
            },
            "rules": [rule],
            "sources": [
                {
                    "kind": "ServiceAccount",
                    "name": source.service_account,
                    "namespace": source.namespace,
                }
            ],
        },
    )


def _object(version: str, kind: str, namespace: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _regex(path: str) -> str:
    """The path as a regex that fits only itself, or its beginning where that would be too large."""
    literal = "".join("\\" + c if c in r"\.+*?()|[]{}^$" else c for c in path[:LONGEST])
    return literal + ".*" if len(path) > LONGEST else literal


def _yaml(document: Object) -> str:
    return msgspec.yaml.encode(document).decode()
