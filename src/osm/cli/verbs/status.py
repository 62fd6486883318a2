"""`osm status`."""

import sys
from collections import Counter

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.render import milliseconds, one_line, paint, printable
from osm.core.explain.view import MeshView
from osm.core.model.origin import Severity

_BAD_PHASES = ("unready", "restarting", "failed")


@click.command(
    cls=Verb,
    examples="""
    osm status
    osm status --mesh shop
    osm status -o json
    """,
)
@mesh_option
@output_option("json", "yaml", default="text")
def command(mesh: str | None, output: str) -> int:
    """Show whether the mesh is well, and what is wrong.

    Exits with 1 if anything is: an object with an error, a proxy that is not in sync or not
    connected, a workload that is not ready. Warnings, and workloads that only now start, are shown
    and change nothing.
    """
    with connect(mesh) as client:
        view = client.view()
    wrong = problems(view)
    if output == "text":
        _print(view, wrong)
    else:
        click.echo(encoded({"healthy": not wrong, "problems": wrong, "mesh": view}, output))
    return 1 if wrong else 0


def problems(view: MeshView) -> tuple[str, ...]:
    """List what is wrong, a line each."""
    findings = tuple(str(each) for each in view.findings if each.severity == Severity.ERROR)
    workloads = tuple(
        f"workload {each.namespace}/{each.name} is {each.phase}"
        + (f": {each.reason}" if each.reason else "")
        for each in view.workloads
        if each.phase in _BAD_PHASES
    )
    starting = {(each.namespace, each.name) for each in view.workloads if each.phase == "starting"}
    proxies = []
    for proxy in view.proxies:
        name = f"proxy {proxy.namespace}/{proxy.name}"
        refusals = [
            f"{name} refused its {each.type} configuration: {each.last_error}"
            for each in proxy.types
            if each.refused
        ]
        if refusals:
            proxies += refusals
        elif not proxy.connected and (proxy.namespace, proxy.name) not in starting:
            proxies.append(f"{name} is not connected")
        elif proxy.connected and not proxy.in_sync:
            proxies.append(f"{name} has not acknowledged its newest configuration")
    return (*findings, *workloads, *proxies)


def _print(view: MeshView, wrong: tuple[str, ...]) -> None:
    mode = (
        "permissive (everybody may call)" if view.policy_mode == "permissive" else view.policy_mode
    )
    ready = sum(each.phase == "ready" for each in view.workloads)
    in_sync = sum(each.in_sync for each in view.proxies)
    statuses = Counter(each.status for each in view.objects)
    amiss = [f"{statuses[each]} {each}" for each in ("error", "warning") if statuses[each]]
    push = view.push
    change = "none yet"
    if push.trigger:
        change = (
            f"{push.trigger}: compiled in {milliseconds(push.compile_ms)}, acknowledged in "
            f"{milliseconds(push.deliver_ms)} (resources: {push.resources}, pushes: {push.pushes})"
        )
    rows = {
        "Mesh": view.mesh,
        "Platform": view.platform,
        "Policy mode": mode,
        "Trust domain": view.trust_domain,
        "Started": view.started,
        "Page": view.page,
        "Files": view.directory,
        "Workloads": f"{ready} of {len(view.workloads)} ready",
        "Proxies": f"{in_sync} of {len(view.proxies)} in sync",
        "Objects": f"{len(view.objects)}" + (f" ({', '.join(amiss)})" if amiss else ""),
        "Last change": change,
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name + ':':<14}{one_line(value)}")
    _list("Problems", wrong, "red")
    warnings = tuple(str(each) for each in view.findings if each.severity != Severity.ERROR)
    _list("Warnings", warnings, "yellow")
    if not wrong:
        click.echo("\n" + paint("All is well.", "green", sys.stdout))


def _list(heading: str, lines: tuple[str, ...], colour: str) -> None:
    if lines:
        click.echo("\n" + paint(f"{heading}:", colour, sys.stdout))
        for line in lines:
            click.echo("  " + printable(line).replace("\n", "\n  "))
