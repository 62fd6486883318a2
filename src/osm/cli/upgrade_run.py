"""How `osm upgrade` goes about it."""

import click
import msgspec

from osm import __version__
from osm.cli.cluster_options import DEFAULT_OSM_NAMESPACE
from osm.cli.install_options import Given, warn
from osm.cli.install_order import Order, order_of
from osm.cli.install_progress import print_pods, shown_progress
from osm.cli.install_run import wait_for_mesh
from osm.cli.object_diff import print_changes
from osm.cli.render import one_line
from osm.core.api.membership import gives_proxies, is_taken_over
from osm.core.check.facts import ControlPlane
from osm.core.install.names import APP_LABEL, CONTROLLER, Installation
from osm.errors import NotRunningError, PlatformError
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Applied, Objects
from osm.kubernetes.check_facts import control_planes
from osm.kubernetes.installing import Installer
from osm.kubernetes.mesh_facts import mesh_namespaces
from osm.kubernetes.resources import Ref
from osm.kubernetes.rollout import NotInTime


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for; `namespace` is None when it leaves it open."""

    mesh: str
    namespace: str | None
    given: Given
    reset_values: bool
    timeout: float
    wait: bool
    dry_run: bool
    force_conflicts: bool


async def upgrade(server: ApiServer, asked: Asked) -> Installation:
    """Upgrade, or with `dry_run` print what would change. Raises `OsmError`."""
    objects = Objects(server)
    plane = _chosen(await control_planes(objects), asked)
    installer = Installer(objects, plane.installation, _nobody, force=asked.force_conflicts)
    await installer.refuse_others(plane)
    order = await _order(installer, asked)
    await _refuse_to_forget(objects, order)
    if asked.dry_run:
        applied = await installer.preview(order.documents)
        print_changes(applied, await installer.to_prune(order.documents))
        return plane.installation
    try:
        with shown_progress() as progress:
            installer.progress = progress
            await installer.define()
            await installer.write(order.documents)
            if asked.wait:
                await wait_for_mesh(objects, order, timeout=asked.timeout, progress=progress)
    except NotInTime as late:
        await print_pods(objects, plane.installation.namespace, {APP_LABEL: CONTROLLER})
        late.hint = (
            "Pods of the old version serve until new ones are ready. Mend it, and upgrade again."
        )
        raise
    pruned = await installer.prune(order.documents)
    await installer.remember(order.record)
    _print_done(installer.made, pruned)
    return plane.installation


def _chosen(planes: tuple[ControlPlane, ...], asked: Asked) -> ControlPlane:
    named = [each for each in planes if each.installation.mesh == asked.mesh]
    found = [each for each in named if asked.namespace in (None, each.installation.namespace)]
    if len(found) == 1:
        return found[0]
    where = asked.namespace or DEFAULT_OSM_NAMESPACE
    listed = ", ".join(f"{p.installation.mesh} in {p.installation.namespace}" for p in planes)
    raise NotRunningError(
        f"There is no mesh {asked.mesh} in namespace {where}.",
        hint=f"There is: {listed}."
        if planes
        else "The cluster has no mesh: `osm install` makes one.",
    )


async def _order(installer: Installer, asked: Asked) -> Order:
    recorded = await installer.recorded()
    if recorded is None and not asked.reset_values:
        warn("nothing tells with which values the mesh was installed: the defaults count.")
    keep = recorded is not None and not asked.reset_values
    base = recorded.given if recorded and keep else {}
    here = installer.installation
    order = order_of(asked.given.tree(base), __version__, mesh=here.mesh, namespace=here.namespace)
    for remark in order.remarks:
        warn(remark)
    return order


async def _refuse_to_forget(objects: Objects, order: Order) -> None:
    """Raise when namespaces that were taken over would not be in the mesh any more."""
    mesh = order.installation.mesh
    lost = [
        namespace["metadata"]["name"]
        for namespace in await mesh_namespaces(objects, mesh)
        if not gives_proxies(namespace["metadata"]["labels"], mesh, order.former_mesh)
        and is_taken_over(namespace["metadata"]["labels"], mesh)
    ]
    if lost:
        raise PlatformError(
            f"Mesh {mesh} would lose namespaces that it took over, with their pods: {', '.join(lost)}",
            hint=f"When the former mesh is removed: osm namespace add {' '.join(lost)} --mesh-name {mesh}. "
            "Before, keep --set osm.formerMeshName as it is.",
        )


def _print_done(applied: list[Applied], pruned: tuple[Ref, ...]) -> None:
    for each in applied:
        if each.outcome != "unchanged":
            click.echo(one_line(f"{each.ref} {each.outcome}"))
    for ref in pruned:
        click.echo(one_line(f"{ref} deleted"))


def _nobody(_name: str, _state: str, _detail: str) -> None:
    pass
