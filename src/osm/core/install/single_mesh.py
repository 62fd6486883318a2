"""Whether a mesh may come to a cluster, by the control planes that are there already.

OSM asked this in a Job before the installation (`reference/osm.md` §4, hooks).
"""

from collections.abc import Iterable, Mapping

import msgspec

from osm.core.api.registry import Document
from osm.core.install.deployment import COMMAND
from osm.core.install.names import (
    APP_LABEL,
    CONTROLLER,
    MESH_LABEL,
    SINGLE_MESH_LABEL,
    Installation,
)

SELECTOR = f"{APP_LABEL}={CONTROLLER}"
"""Of Deployments in all namespaces: the control planes of a cluster, OSM's own included."""


class ControlPlane(msgspec.Struct, frozen=True, order=True):
    """A control plane that is there, and whether it wants to be the only one.

    `former`: it is OSM's own, which nothing here can upgrade or remove.
    """

    mesh: str
    namespace: str
    single: bool = False
    former: bool = False


def control_planes(deployments: Iterable[Document]) -> tuple[ControlPlane, ...]:
    """The control planes among Deployments."""
    return tuple(sorted(map(_control_plane, deployments)))


def refusals(
    installation: Installation, *, single: bool, there: Iterable[ControlPlane]
) -> tuple[str, ...]:
    """Why the installation may not be made; `single` is its `osm.enforceSingleMesh`."""
    return tuple(
        reason for other in sorted(there) if (reason := _refusal(installation, single, other))
    )


def _refusal(installation: Installation, single: bool, other: ControlPlane) -> str:  # noqa: FBT001
    where = f"mesh {other.mesh} in namespace {other.namespace}"
    if other.namespace == installation.namespace:
        if other.former:
            return f"{where} is OSM's own; `osm migrate check` says how to leave it"
        if other.mesh == installation.mesh:
            return f"{where} is installed already; use `osm mesh upgrade`"
        return f"namespace {other.namespace} has the control plane of mesh {other.mesh} already"
    if other.mesh == installation.mesh:
        return f"{where} has the same name; give this one another by --mesh-name"
    if other.single:
        return f"{where} wants to be the only mesh of the cluster (osm.enforceSingleMesh)"
    if single:
        return (
            f"this mesh wants to be the only one of the cluster, and there is {where}; allow several "
            "by --enforce-single-mesh=false"
        )
    return ""


def _control_plane(deployment: Document) -> ControlPlane:
    labels = _mapping(_mapping(deployment["metadata"]).get("labels"))
    return ControlPlane(
        str(labels.get(MESH_LABEL, "")),
        str(_mapping(deployment["metadata"]).get("namespace", "")),
        str(labels.get(SINGLE_MESH_LABEL, "")) == "true",
        not is_ours(deployment),
    )


def is_ours(deployment: Document) -> bool:
    """Whether a control plane is this project's: OSM's has the same labels, and another program."""
    pod = _mapping(_mapping(deployment.get("spec")).get("template"))
    containers = _mapping(pod.get("spec")).get("containers")
    return isinstance(containers, list) and any(
        _mapping(container).get("command") == list(COMMAND) for container in containers
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
