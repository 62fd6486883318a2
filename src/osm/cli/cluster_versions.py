"""What the control planes of a cluster say of themselves, at their port for everybody (9091)."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import httpx2
import msgspec

from osm.cli.cluster_mesh import InstalledMesh, controller_pods, installed_meshes, is_ready
from osm.cli.cluster_namespaces import mesh_namespaces
from osm.core.install.names import HTTP_PORT
from osm.kubernetes.apply import Objects
from osm.kubernetes.port_forward import PodPort, forwarded

Answer = TypeVar("Answer")
_LIMIT_S = 10.0
UNKNOWN = "Unknown"


class ListedMesh(msgspec.Struct, frozen=True):
    """A mesh as `osm mesh list` shows it. `smi_supported` is None when nobody could be asked."""

    name: str
    namespace: str
    version: str
    added_namespaces: tuple[str, ...]
    smi_supported: Mapping[str, str] | None


class Version(msgspec.Struct, frozen=True):
    """What a control plane answers at `/version`; OSM's form."""

    version: str = ""
    git_commit: str = ""
    build_date: str = ""


async def listed_meshes(objects: Objects) -> tuple[ListedMesh, ...]:
    """All meshes of a cluster with their namespaces, sorted."""
    members = await mesh_namespaces(objects, None)
    return tuple(
        [
            ListedMesh(
                mesh.mesh,
                mesh.namespace,
                mesh.version,
                tuple(each.namespace for each in members if each.mesh == mesh.mesh),
                await _ask(objects, mesh, "smi/version", dict[str, str]),
            )
            for mesh in await installed_meshes(objects)
        ]
    )


async def running_versions(
    objects: Objects, namespace: str = ""
) -> Sequence[tuple[InstalledMesh, Version]]:
    """Each mesh of a cluster and its version: what it answers, else what its label says."""
    found = []
    for mesh in await installed_meshes(objects, namespace):
        said = await _ask(objects, mesh, "version", Version)
        found.append((mesh, said or Version(mesh.version or UNKNOWN)))
    return found


def smi_text(supported: Mapping[str, str] | None) -> str:
    """Write `Kind:version,…` as OSM does, sorted."""
    if supported is None:
        return UNKNOWN
    versions = ((kind, name.rpartition("/")[2]) for kind, name in sorted(supported.items()))
    return ",".join(f"{kind}:{version}" for kind, version in versions)


async def _ask(
    objects: Objects, mesh: InstalledMesh, path: str, answer: type[Answer]
) -> Answer | None:
    """What a ready pod of a mesh answers; None when none does."""
    for pod in filter(is_ready, await controller_pods(objects, mesh)):
        target = PodPort(mesh.namespace, pod["metadata"]["name"], HTTP_PORT)
        async with forwarded(objects.server, target) as forward:
            transport = httpx2.AsyncHTTPTransport(uds=str(forward.socket))
            async with httpx2.AsyncClient(transport=transport, timeout=_LIMIT_S) as client:
                try:
                    said = await client.get(f"http://localhost/{path}")
                    return msgspec.json.decode(said.content, type=answer)
                except (httpx2.TransportError, msgspec.MsgspecError):
                    continue
    return None
