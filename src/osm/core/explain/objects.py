"""Objects that a remedy is made of: their names, their parts, and how they are printed."""

from collections.abc import Iterable, Mapping
from itertools import count

import msgspec

from osm.core.model.groups import ACCESS, POLICY, SPECS
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.model.request import Request

Object = Mapping[str, object]

METHODS = frozenset(
    {"GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
"""Methods that an HTTPRouteGroup can name."""
LONGEST = 500
"""Characters of a path that a regex of ours may have; `core.api` refuses those that cost too much."""
_VERSIONS = {ACCESS: "v1alpha3", SPECS: "v1alpha4", POLICY: "v1alpha1"}


class Names:
    """Names that no object with a part in the model has, so that a remedy replaces nothing."""

    def __init__(self, model: Model) -> None:
        self._taken = {(origin.namespace, origin.name) for origin in _origins(model)}

    def free(self, namespace: str, wanted: str) -> str:
        """The name that is wanted, or with the first number that makes it free. It is taken then."""
        base = wanted[:240].rstrip("-.")
        spellings = (base if number == 1 else f"{base}-{number}" for number in count(1))
        name = next(name for name in spellings if (namespace, name) not in self._taken)
        self._taken.add((namespace, name))
        return name


def _origins(model: Model) -> Iterable[Origin]:
    """Of everything that a remedy could take the name of, and of what is said to have no effect."""
    found: list[Origin | None] = [finding.origin for finding in model.findings]
    for access in model.access.values():
        for rule in access:
            found += [rule.origin, rule.match_origin]
    for ingress in model.ingress.values():
        for entry in ingress:
            found += [entry.origin, *(match.origin for match in entry.matches or ())]
    for egress in model.egress.values():
        found += [connection.origin for connection in egress.connections]
        for host in egress.http:
            for match in host.matches:
                found += [match.origin, match.match_origin]
    return [origin for origin in found if origin is not None]


def made_object(group: str, kind: str, namespace: str, name: str, spec: Object) -> Object:
    """An object of one of the mesh's API groups."""
    return {
        "apiVersion": f"{group}/{_VERSIONS[group]}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def route_group(namespace: str, name: str, request: Request) -> Object:
    """An HTTPRouteGroup with one match, `request`, which fits exactly this method and path."""
    match = {
        "name": "request",
        "pathRegex": _regex(request.path),
        "methods": [request.method if request.method in METHODS else "*"],
    }
    return made_object(SPECS, "HTTPRouteGroup", namespace, name, {"matches": [match]})


def group_reference(name: str) -> Object:
    """How Egress and IngressBackend name an HTTPRouteGroup."""
    return {"apiGroup": f"{SPECS}/{_VERSIONS[SPECS]}", "kind": "HTTPRouteGroup", "name": name}


def account(identity: Identity) -> Object:
    """How objects name an identity."""
    return {
        "kind": "ServiceAccount",
        "name": identity.service_account,
        "namespace": identity.namespace,
    }


def printed(objects: Iterable[Object]) -> str:
    """YAML documents, ready to be applied."""
    return "---\n".join(msgspec.yaml.encode(each).decode() for each in objects)


def _regex(path: str) -> str:
    """The path as a regex that fits only itself, or its beginning where that would be too large."""
    literal = "".join("\\" + c if c in r"\.+*?()|[]{}^$" else c for c in path[:LONGEST])
    return literal + ".*" if len(path) > LONGEST else literal
