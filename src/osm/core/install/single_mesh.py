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
    FORMER_MESH_FLAG,
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
    installation: Installation,
    *,
    single: bool,
    there: Iterable[ControlPlane],
    former_mesh: str = "",
) -> tuple[str, ...]:
    """Why the installation may not be made; `single` is its `osm.enforceSingleMesh`, `former_mesh` its
    `osm.formerMeshName`: that one may stay beside it, whatever both want, until it is taken over.
    """
    planes = sorted(there)
    reasons = [
        reason for other in planes if (reason := _refusal(installation, single, other, former_mesh))
    ]
    if former_mesh and all(each.mesh != former_mesh for each in planes):
        reasons.append(f"there is no mesh {former_mesh} to take over from (osm.formerMeshName)")
    return tuple(reasons)


def _refusal(
    installation: Installation,
    single: bool,  # noqa: FBT001
    other: ControlPlane,
    former_mesh: str,
) -> str:
    where = f"mesh {other.mesh} in namespace {other.namespace}"
    if other.namespace == installation.namespace:
        if other.former:
            return f"{where} is OSM's own; `osm migrate check` says how to leave it"
        if other.mesh == installation.mesh:
            return f"{where} is installed already; use `osm mesh upgrade`"
        return f"namespace {other.namespace} has the control plane of mesh {other.mesh} already"
    if other.mesh == installation.mesh:
        return f"{where} has the same name; give this one another by --mesh-name"
    if other.mesh == former_mesh:
        return "" if other.former else f"{where} is not OSM's: only a mesh of OSM v1 is taken over"
    if other.former and (other.single or single):
        return (
            f"{where} is OSM's own: take over from it by --set osm.formerMeshName={other.mesh} "
            "(`osm migrate check` has the plan)"
        )
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


def argument_of(deployment: Document, flag: str) -> str:
    """What a control plane of ours is started with, as `--flag=value`; empty when it is not said."""
    pod = _mapping(_mapping(deployment.get("spec")).get("template"))
    containers = _mapping(pod.get("spec")).get("containers")
    for container in containers if isinstance(containers, list) else ():
        arguments = _mapping(container).get("args")
        for argument in arguments if isinstance(arguments, list) else ():
            name, _, value = str(argument).partition("=")
            if name == f"--{flag}":
                return value
    return ""


def former_mesh_of(deployment: Document) -> str:
    """The mesh that a control plane takes over from, if any."""
    return argument_of(deployment, FORMER_MESH_FLAG) if is_ours(deployment) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
