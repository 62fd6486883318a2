"""How `osm uninstall mesh` goes about it. Its lines are OSM's: scripts read them."""

import click
import msgspec

from osm.cli.cluster_options import DEFAULT_OSM_NAMESPACE
from osm.cli.render import printable, table
from osm.core.check.facts import ControlPlane
from osm.core.check.versions import OLDEST_OWN, is_older
from osm.core.install.names import Installation
from osm.errors import PlatformError, UsageError
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Objects
from osm.kubernetes.check_facts import control_planes
from osm.kubernetes.mesh_facts import mesh_namespaces, root_secret_name
from osm.kubernetes.resources import Ref
from osm.kubernetes.uninstalling import (
    pods_with_proxies,
    release_namespaces,
    remove,
    remove_cluster_wide,
)

_WORKLOADS = "deployment,statefulset,daemonset"
_TRIES = 3
_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for; None is what it leaves open."""

    mesh: str | None
    namespace: str | None
    force: bool
    cluster_wide: bool
    delete_namespace: bool
    secret: str | None


async def uninstall(server: ApiServer, asked: Asked) -> int:
    """Uninstall, and return the exit code. Raises `OsmError`."""
    objects = Objects(server)
    planes = await control_planes(objects)
    if not planes:
        _say("No OSM control planes found")
        await _without_plane(objects, asked)
        return 0
    chosen = _chosen(planes, asked)
    if not asked.force:
        await _print_meshes(objects, planes)
        chosen = [each for each in chosen if is_confirmed(each)]
        if not chosen:
            click.echo("Nothing was uninstalled.", err=True)
    failed: tuple[str, ...] = ()
    for installation in chosen:
        secret = asked.secret or await root_secret_name(objects, installation)
        await _uninstall_one(objects, installation)
        if asked.cluster_wide:
            await _warn_others(objects)
            failed += await remove_cluster_wide(objects, installation, secret, _say)
        if asked.delete_namespace:
            await _delete_namespace(objects, installation.namespace)
    if failed:
        raise PlatformError(f"Failed to completely delete: {', '.join(failed)}")
    return 0


def _chosen(planes: tuple[ControlPlane, ...], asked: Asked) -> list[Installation]:
    everything = [each.installation for each in planes]
    named = [each for each in everything if asked.mesh in (None, each.mesh)]
    found = [each for each in named if asked.namespace in (None, each.namespace)]
    _refuse_former([each for each in planes if each.installation in found])
    if not found:
        where = asked.namespace or DEFAULT_OSM_NAMESPACE
        if asked.mesh is None:
            _say(f"No OSM control plane found in namespace [{where}]")
        else:
            _say(f"Did not find mesh [{asked.mesh}] in namespace [{where}]")
    elif asked.force and len(found) > 1:
        listed = ", ".join(f"{each.mesh} in {each.namespace}" for each in found)
        raise UsageError(
            f"There are several meshes: {listed}.",
            hint="With --force, say which one: --mesh-name NAME, or --osm-namespace NAME.",
        )
    return found


def _refuse_former(planes: list[ControlPlane]) -> None:
    for each in planes:
        if is_older(each.version, OLDEST_OWN):
            here = each.installation
            raise PlatformError(
                f"Mesh {here.mesh} in namespace {here.namespace} is of OSM {each.version}, which has "
                "parts that this osm does not know.",
                hint=f"Remove it by what installed it: `helm uninstall {here.mesh} -n {here.namespace}`.",
            )


async def _uninstall_one(objects: Objects, installation: Installation) -> None:
    mesh, place = installation.mesh, installation.namespace
    if not await remove(objects, installation, _say):
        _say(f"No OSM control plane with mesh name [{mesh}] found in namespace [{place}]")
        return
    for name in await release_namespaces(objects, installation):
        _say(f"Namespace [{name}] successfully removed from mesh [{mesh}]")
    _say(f"OSM [mesh name: {mesh}] in namespace [{place}] uninstalled")
    await _tell_of_proxies(objects, mesh)


async def _tell_of_proxies(objects: Objects, mesh: str) -> None:
    """What goes on as it was, and how it ends. On stderr: it is no line of OSM's."""
    counts = await pods_with_proxies(objects, mesh)
    if not counts:
        return
    total = sum(counts.values())
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    have = "1 pod still has its proxy" if total == 1 else f"{total} pods still have their proxies"
    lines = [
        f"{have}, in namespaces: {listed}.",
        "Nobody configures these any more, and their certificates expire.",
        "To be rid of them, start their workloads again (a pod without one: delete and create it):",
        *(f"  kubectl rollout restart {_WORKLOADS} -n {name}" for name in counts),
    ]
    click.echo(printable("\n".join(lines)), err=True)


async def _without_plane(objects: Objects, asked: Asked) -> None:
    """What an installation that was never whole, or that somebody deleted by hand, left behind."""
    installation = Installation(asked.mesh or "osm", asked.namespace or DEFAULT_OSM_NAMESPACE)
    if not asked.force:
        return
    removed = await remove(objects, installation, _say)
    if removed:
        await release_namespaces(objects, installation)
        _say(f"What was left of mesh [{installation.mesh}] is removed: {removed} objects")
    if asked.cluster_wide:
        secret = asked.secret or await root_secret_name(objects, installation)
        await remove_cluster_wide(objects, installation, secret, _say)
    if asked.delete_namespace:
        await _delete_namespace(objects, installation.namespace)


async def _print_meshes(objects: Objects, planes: tuple[ControlPlane, ...]) -> None:
    rows = []
    for each in planes:
        found = await mesh_namespaces(objects, each.installation.mesh)
        names = ",".join(document["metadata"]["name"] for document in found)
        rows.append((each.installation.mesh, each.installation.namespace, each.version, names))
    _say("\nList of meshes present in the cluster:\n")
    _say(table(("mesh name", "mesh namespace", "version", "added namespaces"), rows))


def is_confirmed(installation: Installation) -> bool:
    """Ask; what is neither yes nor no three times is no, and so is the end of the input."""
    mesh, place = installation.mesh, installation.namespace
    question = (
        f"\nUninstall OSM [mesh name: {mesh}] in namespace [{place}] and/or OSM resources? [y/n]: "
    )
    for _ in range(_TRIES):
        click.echo(printable(question), nl=False)
        try:
            answer = input()
        except EOFError:
            click.echo()
            return False
        known = _ANSWERS.get(answer.strip().lower())
        if known is not None:
            return known
    return False


async def _warn_others(objects: Objects) -> None:
    others = await control_planes(objects)
    if others:
        _say("Deleting cluster resources will affect current mesh(es) in cluster:")
        for each in others:
            _say(f"[{each.installation.mesh}] mesh in namespace [{each.installation.namespace}]")


async def _delete_namespace(objects: Objects, name: str) -> None:
    if await objects.delete(Ref("v1", "Namespace", name)):
        _say(f"OSM namespace [{name}] deleted successfully")
    else:
        _say(f"OSM namespace [{name}] not found")


def _say(text: str) -> None:
    click.echo(printable(text))
