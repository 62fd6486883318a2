"""What to add so that a denied request passes: objects that can be applied as they are printed."""

from collections.abc import Mapping, Sequence

import msgspec

from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.request import Request, fits
from osm.core.model.service import ServicePort

Object = Mapping[str, object]


def remedy_for(
    model: Model,
    source: Identity,
    targets: Sequence[tuple[Identity, ServicePort]],
    request: Request | None,
) -> str:
    """YAML of the TrafficTargets (and route groups) that would allow it. An existing match of the
    destination that fits the request is used again; otherwise one for exactly this request is made.
    """
    documents: list[Object] = []
    for destination, port in sorted(set(targets)):
        documents += _documents(model, source, destination, port, request)
    return "---\n".join(_yaml(document) for document in documents)


def _documents(
    model: Model,
    source: Identity,
    destination: Identity,
    port: ServicePort,
    request: Request | None,
) -> list[Object]:
    name = f"{source.service_account}-to-{destination.service_account}"[:253]
    if source.namespace != destination.namespace:
        name = f"{source.namespace}-{name}"[:253]
    known = _existing_rule(model, destination, port, request)
    if known is not None and known.match_origin is not None:
        match_name = known.match_origin.field.partition("(")[2].rstrip(")")
        rule: dict[str, object] = {"kind": known.match_origin.kind, "name": known.match_origin.name}
        if match_name:
            rule["matches"] = [match_name]
        return [_target(name, source, destination, rule)]
    if request is None:
        spec: Object = {"matches": {"ports": [port.target_port]}}
        route = _object("specs.smi-spec.io/v1alpha4", "TCPRoute", destination.namespace, name, spec)
        return [route, _target(name, source, destination, {"kind": "TCPRoute", "name": name})]
    match = {"name": "request", "pathRegex": _literal(request.path), "methods": [request.method]}
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


def _literal(path: str) -> str:
    """The path as a regex that fits only itself."""
    return "".join("\\" + c if c in r"\.+*?()|[]{}^$" else c for c in path)


def _yaml(document: Object) -> str:
    return msgspec.yaml.encode(document).decode()
