"""Whose proxy a pod has, and why it may have none: told by the pod itself and by its namespace."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from osm.core.api.membership import gives_proxies
from osm.core.api.mesh_keys import INJECTION, SWITCH
from osm.core.api.metadata import Metadata
from osm.core.model.probe import HEALTH_PORT
from osm.core.model.reserved import HEALTH_PORT_NAME, PROXY_CONTAINER, UUID_LABEL
from osm.core.model.workload import ProxyKind


class _Port(Protocol):
    @property
    def container_port(self) -> int: ...
    @property
    def name(self) -> str: ...


class _Container(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def ports(self) -> Sequence[_Port]: ...


def proxy_kind(
    labels: Mapping[str, str],
    init_containers: Iterable[_Container],
    containers: Sequence[_Container],
) -> ProxyKind:
    """By a container's name and port, which only injection gives together.

    Who copies a pod (`kubectl debug`) keeps them, and loses labels. A container that is only called
    like a proxy is none; OSM v1.x's is one beside the label that OSM gave its pods.
    """
    if _is_own(init_containers) or _is_own(containers):
        return ProxyKind.OWN
    if UUID_LABEL in labels and any(each.name == PROXY_CONTAINER for each in containers):
        return ProxyKind.FORMER
    return ProxyKind.NONE


def _is_own(containers: Iterable[_Container]) -> bool:
    for container in containers:
        if container.name == PROXY_CONTAINER:
            for port in container.ports:
                if port.container_port == HEALTH_PORT and port.name == HEALTH_PORT_NAME:
                    return True
    return False


class NoProxy(StrEnum):
    """Why a pod of the mesh has no proxy."""

    HOST_NETWORK = "host network"
    POD = "its annotation"
    NAMESPACE = "its namespace"
    EARLIER = "made before"
    """It would get one now: it was made before its namespace joined, or while nobody was asked."""


def why_no_proxy(
    annotations: Mapping[str, str],
    namespace: Metadata | None,
    mesh: str,
    former: str = "",
    *,
    host_network: bool,
) -> NoProxy:
    """The cause, by the rules of injection (`osm.core.inject.decision`, in its order)."""
    if host_network:
        return NoProxy.HOST_NETWORK
    if namespace is None or not gives_proxies(namespace.labels, mesh, former):
        return NoProxy.NAMESPACE
    of_pod = SWITCH.get(annotations.get(INJECTION, "").lower())
    if of_pod is not None:
        return NoProxy.EARLIER if of_pod else NoProxy.POD
    of_namespace = SWITCH.get(namespace.annotations.get(INJECTION, "").lower())
    if of_namespace:
        return NoProxy.EARLIER
    return NoProxy.NAMESPACE
