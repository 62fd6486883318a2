"""`osm policy check-pods`."""

import click

from osm.cli.client import connect
from osm.cli.command import Verb, mesh_option, output_option
from osm.cli.encode import encoded
from osm.cli.names import WORKLOAD
from osm.cli.policy_checks import allowing_targets
from osm.cli.workloads import find_workloads
from osm.core.install.names import CONTROLLER

_TARGET = "TrafficTarget"


@click.command(
    "check-pods",
    cls=Verb,
    examples="""
    osm policy check-pods bookbuyer/bookbuyer-7d9 bookstore/bookstore-5c4
    osm policy check-pods bookthief bookstore -o json
    """,
)
@click.argument("source", type=WORKLOAD)
@click.argument("destination", type=WORKLOAD)
@mesh_option
@output_option("json", "yaml", default="text")
def command(*, source: str, destination: str, mesh: str | None, output: str) -> int:
    """Tell whether a TrafficTarget lets a pod talk to another one.

    SOURCE and DESTINATION are pods or Deployments, as NAME or NAMESPACE/NAME. This looks at accounts
    only; `osm explain` follows a request with its service, path and headers.

    Exits with 1 if they may not talk.
    """
    with connect(mesh) as client:
        view = client.view()
        caller = find_workloads(view, source, None)[0]
        called = find_workloads(view, destination, None)[0]
        targets = [item.raw for item in client.objects(kind=_TARGET)]
        place = client.place
    permissive = view.policy_mode == "permissive"
    allowed_by = () if permissive else allowing_targets(targets, caller, called)
    one, other = (f"{each.namespace}/{each.name}" for each in (caller, called))
    allowed = permissive or bool(allowed_by)
    if output != "text":
        answer = {
            "source": one,
            "destination": other,
            "permissive": permissive,
            "allowed": allowed,
            "trafficTargets": allowed_by,
        }
        click.echo(encoded(answer, output))
        return 0 if allowed else 1
    mode = "Permissive mode" if permissive else "SMI traffic policy mode"
    click.echo(f"[+] {mode} enabled for mesh operated by {CONTROLLER} running {place}\n")
    for line in _lines(one, other, allowed_by, permissive=permissive):
        click.echo(line)
    return 0 if allowed else 1


def _lines(
    source: str, destination: str, allowed_by: tuple[str, ...], *, permissive: bool
) -> tuple[str, ...]:
    pair = f"communicate to pod '{destination}'"
    if permissive:
        return (f"[+] Pod '{source}' is allowed to {pair}",)
    if not allowed_by:
        return (f"[+] Pod '{source}' is not allowed to {pair}, missing SMI TrafficTarget policy",)
    return tuple(
        f"[+] Pod '{source}' is allowed to {pair} via the SMI TrafficTarget policy "
        f'"{target.partition("/")[2]}" in namespace {target.partition("/")[0]}'
        for target in allowed_by
    )
