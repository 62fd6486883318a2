"""Which control planes a cluster has, which one is meant, and the pods that they run in."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from osm.core.install import names
from osm.core.install.single_mesh import former_mesh_of, is_ours
from osm.errors import NotRunningError, UsageError

if TYPE_CHECKING:  # the package is there only with the extra `kubernetes`
    from osm.kubernetes.apply import Objects

Document = dict[str, Any]
SELECTOR = f"{names.APP_LABEL}={names.CONTROLLER}"


class InstalledMesh(msgspec.Struct, frozen=True, order=True):
    """A control plane in a cluster: its mesh, where it is, and its version as its label has it."""

    mesh: str
    namespace: str
    version: str = ""
    former_mesh: str = ""
    """The mesh of OSM's that it takes over from, if any."""
    ours: bool = True
    """Whether it is this project's, and not OSM's own."""


async def installed_meshes(objects: "Objects", namespace: str = "") -> tuple[InstalledMesh, ...]:
    """The control planes of a namespace, or (empty) of all, sorted."""
    found = await objects.list("apps/v1", "Deployment", namespace, labelSelector=SELECTOR)
    return read_meshes(found)


def read_meshes(deployments: Iterable[Document]) -> tuple[InstalledMesh, ...]:
    """What the Deployments of control planes say of their meshes."""
    found = []
    for deployment in deployments:
        metadata = deployment["metadata"]
        labels = metadata.get("labels") or {}
        mesh = labels.get(names.MESH_LABEL) or labels.get(names.INSTANCE_LABEL) or ""
        version = labels.get(names.VERSION_LABEL, "")
        found.append(
            InstalledMesh(
                mesh,
                metadata["namespace"],
                version,
                former_mesh_of(deployment),
                is_ours(deployment),
            )
        )
    return tuple(sorted(found))


def choose_mesh(meshes: Sequence[InstalledMesh], mesh: str | None) -> InstalledMesh:
    """The mesh with a name, or the only one. Beside ours, one of OSM's must be named."""
    if not meshes:
        raise NotRunningError(
            "The cluster has no mesh.",
            hint="`osm install` makes one; `osm check --pre` looks first.",
        )
    chosen = [each for each in meshes if mesh in (None, each.mesh)]
    if mesh is None and any(each.ours for each in chosen):
        chosen = [each for each in chosen if each.ours]
    listed = ", ".join(f"{each.mesh} in {each.namespace}" for each in meshes)
    if not chosen:
        raise NotRunningError(f"The cluster has no mesh {mesh}.", hint=f"It has: {listed}.")
    if len(chosen) > 1:
        raise UsageError(
            f"The cluster has {len(chosen)} meshes: {listed}.",
            hint="Say which one: --mesh NAME, or --osm-namespace NAME.",
        )
    return chosen[0]


async def controller_pods(objects: "Objects", mesh: InstalledMesh) -> list[Document]:
    """The pods of a control plane, by name."""
    pods = await objects.list("v1", "Pod", mesh.namespace, labelSelector=SELECTOR)
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def is_ready(pod: Document) -> bool:
    """Whether a pod runs, is ready, and is not on its way out."""
    status = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return (
        status.get("phase") == "Running"
        and conditions.get("Ready") == "True"
        and "deletionTimestamp" not in pod["metadata"]
    )


def ready_pods(mesh: InstalledMesh, pods: Sequence[Document]) -> tuple[str, ...]:
    """The names of those that answer. Raises `NotRunningError` when there is none."""
    ready = tuple(str(pod["metadata"]["name"]) for pod in pods if is_ready(pod))
    if not ready:
        states = ", ".join(_state(pod) for pod in pods) or "there is no pod"
        raise NotRunningError(
            f"The control plane of the mesh {mesh.mesh} is not ready: {states}.",
            hint=f"Look at it: kubectl get pods -n {mesh.namespace} -l {SELECTOR}",
        )
    return ready


def _state(pod: Document) -> str:
    name = pod["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"]:
        return f"{name} is being deleted"
    phase = (pod.get("status") or {}).get("phase", "Pending")
    return f"{name} is {phase}" + (", not ready" if phase == "Running" else "")
