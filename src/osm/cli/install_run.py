"""How `osm install` goes about it."""

import asyncio

import click

from osm.cli.install_options import warn
from osm.cli.install_order import Order
from osm.cli.install_progress import print_pods, shown_progress
from osm.core.install import single_mesh
from osm.core.install.names import APP_LABEL, CONTROLLER
from osm.core.install.record import Record
from osm.errors import OsmError, PlatformError
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.kubernetes.apply import Objects
from osm.kubernetes.check_facts import control_planes
from osm.kubernetes.failure import explain
from osm.kubernetes.installing import Installer, foreign
from osm.kubernetes.resources import ref_of
from osm.kubernetes.rollout import NotInTime, Progress, wait_admitted, wait_ready

_AWAITED = ("Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_NOT_ADMITTED = (
    "the API server does not reach the mesh's webhooks yet: until it does, it refuses pods and policies "
    "of the mesh. If that lasts, look at Service osm-validator, and at what may keep the API server from it."
)


async def install(
    server: ApiServer,
    order: Order,
    *,
    timeout: float,
    wait: bool,
    atomic: bool,
    force_conflicts: bool,
) -> None:
    """Install what was ordered. Raises `OsmError` when it is refused, fails, or takes too long."""
    objects = Objects(server)
    installer = Installer(objects, order.installation, _nobody, force=force_conflicts)
    await _refuse(installer, objects, order)
    try:
        with shown_progress() as progress:
            installer.progress = progress
            await _write(installer, order)
            if wait:
                await wait_for_mesh(objects, order, timeout=timeout, progress=progress)
    except (OsmError, Status, Unreachable, asyncio.CancelledError) as error:
        if isinstance(error, NotInTime):
            await print_pods(objects, order.installation.namespace, {APP_LABEL: CONTROLLER})
        if atomic:
            click.echo("Undoing everything.", err=True)
            await installer.undo()
        raise _told(error, atomic=atomic) from error
    await installer.remember(order.record)


async def wait_for_mesh(
    objects: Objects, order: Order, *, timeout: float, progress: Progress
) -> None:
    """Wait until pods can be in the mesh, and what people write next is judged. Raises `NotInTime`."""
    refs = [ref_of(each) for each in order.documents if each["kind"] in _AWAITED]
    await wait_ready(objects, refs, limit_s=timeout, progress=progress)
    (config,) = (each for each in order.documents if each["kind"] == "MeshConfig")
    if not await wait_admitted(objects, ref_of(config)):
        warn(_NOT_ADMITTED)


async def _write(installer: Installer, order: Order) -> None:
    await installer.define()
    await installer.write(order.documents)


async def _refuse(installer: Installer, objects: Objects, order: Order) -> None:
    """Raise when the mesh may not come, or is there as something else."""
    planes = await control_planes(objects)
    mine = [each for each in planes if each.installation == order.installation]
    there = [
        single_mesh.ControlPlane(
            each.installation.mesh, each.installation.namespace, each.single, not each.ours
        )
        for each in planes
        if each not in mine
    ]
    reasons = single_mesh.refusals(
        order.installation, single=order.single, there=there, former_mesh=order.former_mesh
    )
    if reasons:
        raise PlatformError(
            "The mesh cannot be installed:\n" + "\n".join(f"  {each}" for each in reasons),
            hint="`osm mesh list` shows the meshes of the cluster.",
        )
    if mine:
        await installer.refuse_others(mine[0])
        if other := _otherwise(await installer.recorded(), order):
            raise PlatformError(other, hint="Use `osm upgrade` to change it.")
        return
    names = await foreign(objects, order.installation, order.documents)
    if names:
        raise PlatformError(
            f"There are objects with names that the mesh needs: {', '.join(names)}",
            hint="Remove them, or choose another --mesh-name or --osm-namespace.",
        )


def _otherwise(recorded: Record | None, order: Order) -> str:
    """How an installed mesh differs from what was ordered; nothing when it does not."""
    name = f"Mesh {order.installation.mesh} is installed already"
    if recorded is None:
        return ""
    if recorded.version != order.version:
        return f"{name}, by osm {recorded.version}; this is osm {order.version}."
    return f"{name}, with other values." if recorded.given != order.given else ""


def _told(error: BaseException, *, atomic: bool) -> BaseException:
    if isinstance(error, Status | Unreachable):
        error = explain(error)
    if isinstance(error, OsmError):
        undone = "Everything that was made is undone."
        left = "What was made is still there: `osm check` looks at it, `osm uninstall mesh` removes it."
        error.hint = "\n".join(part for part in (error.hint, undone if atomic else left) if part)
    return error


def _nobody(_name: str, _state: str, _detail: str) -> None:
    pass
