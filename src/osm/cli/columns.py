"""The columns of `osm get`, by kind. Reads objects as they were written, in any served version."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from osm.core.explain.view import MeshView

Raw = Mapping[str, Any]
Cells = tuple[str, ...]


class Columns(msgspec.Struct, frozen=True):
    """What a kind's table shows after NAMESPACE and NAME; `wide` is added by `-o wide`."""

    headers: tuple[str, ...]
    cells: Callable[[Raw, MeshView], Cells]
    wide_headers: tuple[str, ...] = ()
    wide: Callable[[Raw, MeshView], Cells] = lambda _raw, _view: ()


def at(raw: object, *path: str) -> Any:
    """Follow keys down into mappings; None where the path ends."""
    for key in path:
        if not isinstance(raw, Mapping):
            return None
        raw = raw.get(key)
    return raw


def items(raw: object, *path: str) -> Sequence[Any]:
    """Return the list at a path; empty if there is none."""
    found = at(raw, *path)
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def word(raw: object, *path: str) -> str:
    """Return the scalar at a path as text; empty if there is none."""
    found = at(raw, *path)
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None or isinstance(found, Mapping | list) else str(found)


def name_of(raw: Raw) -> str:
    """Return the object's name."""
    return word(raw, "metadata", "name")


def namespace_of(raw: Raw) -> str:
    """Return the object's namespace, empty if it has none."""
    return word(raw, "metadata", "namespace")


def _account(raw: object) -> str:
    namespace, name = word(raw, "namespace"), word(raw, "name")
    return f"{namespace}/{name}" if namespace else name


def _listed(words: Sequence[str], limit: int = 3) -> str:
    shown = ",".join(words[:limit])
    return f"{shown} + {len(words) - limit} more" if len(words) > limit else shown


def _traffic_target(raw: Raw, _view: MeshView) -> Cells:
    spec = raw.get("spec") or raw  # v1alpha1 has its fields at the top
    rules = [
        word(rule, "name") + "".join(f"[{','.join(map(str, items(rule, 'matches')))}]"
                                     if items(rule, "matches") else "")
        for rule in (items(spec, "rules") or items(spec, "specs"))
    ]  # fmt: skip
    sources = [_account(source) for source in items(spec, "sources")]
    return _account(at(spec, "destination")), _listed(sources), _listed(rules)


def _traffic_split(raw: Raw, _view: MeshView) -> Cells:
    backends = [
        f"{word(each, 'service')}={word(each, 'weight') or '0'}"
        for each in items(raw, "spec", "backends")
    ]
    return word(raw, "spec", "service"), _listed(backends, 5)


def _route_group(raw: Raw, _view: MeshView) -> Cells:
    matches = items(raw, "spec", "matches") or items(raw, "matches")
    return (_listed([word(each, "name") for each in matches], 6),)


def _tcp_route(raw: Raw, _view: MeshView) -> Cells:
    ports = items(raw, "spec", "matches", "ports") or items(raw, "matches", "ports")
    return (_listed([str(port) for port in ports], 6) or "any",)


def _mesh_config(raw: Raw, _view: MeshView) -> Cells:
    permissive = at(raw, "spec", "traffic", "enablePermissiveTrafficPolicyMode") is True
    egress = at(raw, "spec", "traffic", "enableEgress") is True
    return "permissive" if permissive else "smi", str(egress).lower()


def _service(raw: Raw, _view: MeshView) -> Cells:
    ports = [
        word(port, "port") + "/" + (word(port, "appProtocol") or word(port, "protocol") or "TCP")
        for port in items(raw, "spec", "ports")
    ]
    address = word(raw, "spec", "clusterIP")
    return word(raw, "spec", "type") or "ClusterIP", address, _listed(ports, 6)


def _selector(raw: Raw, _view: MeshView) -> Cells:
    selector = at(raw, "spec", "selector")
    if isinstance(at(selector, "matchLabels"), Mapping):
        selector = at(selector, "matchLabels")
    if not isinstance(selector, Mapping):
        return ("",)
    return (",".join(f"{key}={value}" for key, value in sorted(selector.items())),)


def _controller(raw: Raw, view: MeshView) -> Cells:
    mine = [
        each
        for each in view.workloads
        if each.app == name_of(raw) and each.namespace == namespace_of(raw)
    ]
    wanted = word(raw, "spec", "replicas") or "1"
    ready = sum(each.phase == "ready" for each in mine)
    return f"{ready}/{wanted}", str(sum(each.restarts for each in mine))


def _no_cells(_raw: Raw, _view: MeshView) -> Cells:
    return ()


GENERIC = Columns((), _no_cells)
COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("access.smi-spec.io", "TrafficTarget"): Columns(
        ("destination", "sources", "rules"), _traffic_target
    ),
    ("split.smi-spec.io", "TrafficSplit"): Columns(("service", "backends"), _traffic_split),
    ("specs.smi-spec.io", "HTTPRouteGroup"): Columns(("matches",), _route_group),
    ("specs.smi-spec.io", "TCPRoute"): Columns(("ports",), _tcp_route),
    ("config.openservicemesh.io", "MeshConfig"): Columns(("mode", "egress"), _mesh_config),
    ("", "Service"): Columns(("type", "cluster-ip", "ports"), _service, ("selector",), _selector),
    ("apps", "Deployment"): Columns(("ready", "restarts"), _controller, ("selector",), _selector),
    ("apps", "StatefulSet"): Columns(("ready", "restarts"), _controller, ("selector",), _selector),
}
