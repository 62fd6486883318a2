"""Whether a pod gets a proxy: OSM's rules, in OSM's order (`reference/osm.md` §2)."""

from collections.abc import Mapping

import msgspec

from osm.core.api.kubernetes import Namespace
from osm.core.api.limits import clipped
from osm.core.api.membership import gives_proxies
from osm.core.api.mesh_keys import (
    IGNORE,
    INJECTION,
    METRICS,
    MONITORED_BY,
    SWITCH,
    SYSTEM_NAMESPACES,
)
from osm.core.api.metadata import Metadata
from osm.core.inject.former import has_former_proxy
from osm.core.inject.obstacles import obstacles, warnings
from osm.core.inject.pod import Pod
from osm.core.inject.sidecar import is_injected
from osm.core.inject.verdict import Inject, Leave, Refuse, Verdict
from osm.core.model.redirection import Redirection

Switch = bool | Refuse | None
"""What an annotation says, that it says nothing we know, or that it is not there."""


class MeshName(msgspec.Struct, frozen=True, gc=False):
    """A mesh, the namespace of its control plane, and the mesh that it takes over from, if any."""

    name: str
    namespace: str
    former: str = ""


def decide(
    pod: Pod, namespace: Namespace, mesh: MeshName, redirection: Redirection, *, native: bool
) -> Verdict:
    """Whether the pod gets a proxy. `redirection` is what goes around it, and `native` whether the
    cluster has sidecars that start before their applications, and end after them.
    """
    here = namespace.metadata
    if pod.spec.host_network:
        return Leave("it is on its node's own network, which no proxy can have for itself")
    if here.name in (*SYSTEM_NAMESPACES, mesh.namespace):
        return Leave(f"pods of namespace {here.name} never have a proxy")
    if not gives_proxies(here.labels, mesh.name, mesh.former):
        return Leave(_why_not_here(here, mesh), by_namespace=True)
    of_pod = switch(pod.metadata.annotations, INJECTION, "the pod")
    of_namespace = switch(here.annotations, INJECTION, f"namespace {here.name}")
    wanted = _wanted(of_pod, of_namespace)
    if not isinstance(wanted, Inject):
        return wanted
    if has_former_proxy(pod):
        return Refuse(_FORMER_PROXY)
    if is_injected(pod):
        return Leave("it has its proxy already")
    metrics = switch(here.annotations, METRICS, f"namespace {here.name}")
    if isinstance(metrics, Refuse):
        return metrics
    if found := tuple(obstacles(pod)):
        return Refuse("the pod cannot be part of the mesh: " + "; ".join(found))
    return Inject(tuple(warnings(pod, redirection, native=native)))


def switch(annotations: Mapping[str, str], key: str, whose: str) -> Switch:
    """What an annotation says. `whose` it is, is for the refusal."""
    value = annotations.get(key)
    if value is None:
        return None
    on = SWITCH.get(value.lower())
    if on is None:
        known = ", ".join(SWITCH)
        return Refuse(f"{whose} has the annotation {key}: {clipped(value)}; write one of {known}")
    return on


_FORMER_PROXY = (
    "the pod has a proxy of OSM's already. If OSM's injector gave it one in a namespace that this mesh "
    f"took over, that lacks the label {IGNORE}: true, by which OSM's keeps off; if it was copied from a "
    "pod with a proxy, remove that"
)


def _why_not_here(here: Metadata, mesh: MeshName) -> str:
    if here.labels.get(MONITORED_BY) == mesh.name:
        return f"namespace {here.name} has the label {IGNORE}"
    return f"namespace {here.name} is not part of mesh {mesh.name}"


def _wanted(of_pod: Switch, of_namespace: Switch) -> Verdict:
    """The pod's word counts before its namespace's; both must be words."""
    for said in (of_pod, of_namespace):
        if isinstance(said, Refuse):
            return said
    if of_pod is False:
        return Leave(f"its annotation {INJECTION} says so")
    if of_pod or of_namespace:
        return Inject()
    reason = f"neither it nor its namespace has the annotation {INJECTION}: enabled"
    return Leave(reason, by_namespace=True)
