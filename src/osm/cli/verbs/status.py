"""`osm status`."""

import sys
from collections import Counter

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.problems import problems
from osm.cli.proxies import brief, without_proxy
from osm.cli.render import milliseconds, one_line, paint, printable, size
from osm.core.explain.view import MeshView
from osm.core.model.origin import Severity


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


def _print(view: MeshView, wrong: tuple[str, ...]) -> None:
    mode = (
        "permissive (everybody may call)" if view.policy_mode == "permissive" else view.policy_mode
    )
    ready = sum(each.phase == "ready" for each in view.workloads)
    in_sync = sum(each.in_sync for each in view.proxies)
    bare = without_proxy(view.workloads)
    statuses = Counter(each.status for each in view.objects)
    amiss = [f"{statuses[each]} {each}" for each in ("error", "warning") if statuses[each]]
    notes = sum(each.severity == Severity.INFO for each in view.findings)
    push = view.push
    change = "none yet"
    if push.trigger:
        change = (
            f"{push.trigger}: compiled in {milliseconds(push.compile_ms)}, handed on in "
            f"{milliseconds(push.deliver_ms)} (resources built: {push.resources}, "
            f"proxies told: {push.pushes})"
        )
    rows = {
        "Mesh": view.mesh,
        "Platform": view.platform,
        "Policy mode": mode,
        "Trust domain": view.trust_domain,
        "Started": view.started,
        "Replicas": _replicas(view),
        "Page": view.page,
        "Files": view.directory,
        "Workloads": f"{ready} of {len(view.workloads)} ready",
        "Proxies": f"{in_sync} of {len(view.proxies)} in sync" + (f" ({bare})" if bare else ""),
        "Config": _held(view),
        "Slowest": _slowest(view),
        "Objects": f"{len(view.objects)}" + (f" ({', '.join(amiss)})" if amiss else ""),
        "Last change": change,
        "Notes": f"{notes} (`osm analyze` has them)" if notes else "",
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name + ':':<14}{one_line(value)}")
    _list("Problems", wrong, "red")
    warnings = tuple(str(each) for each in view.findings if each.severity == Severity.WARNING)
    _list("Warnings", warnings, "yellow")
    if not wrong:
        click.echo("\n" + paint("All is well.", "green", sys.stdout))


def _replicas(view: MeshView) -> str:
    """How many answered, which of them writes, and how the proxies are spread."""
    if not view.replicas:
        return ""
    each = [
        f"{replica.name} ({'leads, ' if replica.leads else ''}{replica.proxies} "
        f"{'proxy' if replica.proxies == 1 else 'proxies'})"
        for replica in view.replicas
    ]
    nobody = "" if any(replica.leads for replica in view.replicas) else "; none of them leads"
    return f"{len(each)}: {', '.join(each)}{nobody}"


def _held(view: MeshView) -> str:
    kinds = [each for proxy in view.proxies for each in proxy.types]
    if not kinds:
        return ""
    return (
        f"{sum(each.resources for each in kinds)} resources, "
        f"{size(sum(each.bytes for each in kinds))} held "
        f"(pushes: {sum(each.sent for each in kinds)}, unanswered: "
        f"{sum(each.pending for each in kinds)}, refused: {sum(each.refused for each in kinds)})"
    )


def _slowest(view: MeshView) -> str:
    """The proxy that took longest for its last answer, or owes one for longest."""
    answers = [
        (bool(kind.pending), kind.answered_in_s, proxy, kind.type)
        for proxy in view.proxies
        for kind in proxy.types
        if kind.answered_in_s is not None
    ]
    if not answers:
        return ""
    owes, seconds, proxy, kind = max(answers, key=lambda each: each[:2])
    name = f"{proxy.namespace}/{proxy.name}"
    if owes:
        return f"{name} has owed an answer ({kind}) for {brief(seconds)}"
    return f"{name} took {milliseconds(seconds * 1000)} for its last answer ({kind})"


def _list(heading: str, lines: tuple[str, ...], colour: str) -> None:
    if lines:
        click.echo("\n" + paint(f"{heading}:", colour, sys.stdout))
        for line in lines:
            click.echo("  " + printable(line).replace("\n", "\n  "))
