"""`osm logs`."""

import sys
from collections import Counter, deque
from collections.abc import Iterator

import click

from osm.cli.client import MeshClient, connect
from osm.cli.command import Verb, mesh_option
from osm.cli.log_lines import LogLines, is_proxy
from osm.cli.names import NAMESPACE, WORKLOAD
from osm.cli.workloads import find_workloads
from osm.errors import UsageError
from osm.ports import LogLine

_ALL = 10_000
"""More lines than a mesh keeps of a workload."""
_OVERLAP = 500


@click.command(
    cls=Verb,
    examples="""
    osm logs bookbuyer
    osm logs bookstore -n bookstore -f
    osm logs bookstore/bookstore-v2 --proxy --tail 20
    """,
)
@click.argument("workload", type=WORKLOAD)
@click.option("-f", "--follow", is_flag=True, help="Go on with what it prints from now on.")
@click.option("--tail", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
              help="How many lines of the past.")  # fmt: skip
@click.option("--proxy", is_flag=True, help="What its proxy printed, instead of the program.")
@click.option("-n", "--namespace", type=NAMESPACE, metavar="NAME", help="The workload's namespace.")
@mesh_option
def command(
    *, workload: str, follow: bool, tail: int, proxy: bool, namespace: str | None, mesh: str | None
) -> None:
    """Print what a workload or its proxy printed.

    WORKLOAD is a workload or a Deployment, as NAME or NAMESPACE/NAME. If it means several, each
    line has its workload's name before it.
    """
    with connect(mesh) as client:
        names = _names(client, workload, namespace)
        if len(names) > 1 and follow:
            raise UsageError(
                f"-f follows one workload; this names {len(names)}: {', '.join(names)}."
            )
        lines = LogLines(sys.stdout, prefixed=len(names) > 1)
        for name in names:
            for line in _lines(client, name, follow=follow, tail=tail, proxy=proxy):
                click.echo(lines.format(line))


def _names(client: MeshClient, workload: str, namespace: str | None) -> tuple[str, ...]:
    try:
        found = find_workloads(client.view(), workload, namespace)
    except UsageError:
        # What is gone, or is no workload (the control plane itself), may have left lines.
        name = workload if "/" in workload or not namespace else f"{namespace}/{workload}"
        try:
            left = next(client.logs(name, tail=1, follow=False), None)
        except UsageError:
            left = None
        if left is None:
            raise
        return (name,)
    return tuple(f"{each.namespace}/{each.name}" for each in found)


def _lines(
    client: MeshClient, workload: str, *, follow: bool, tail: int, proxy: bool
) -> Iterator[LogLine]:
    past = [
        line
        for line in client.logs(workload, tail=_ALL if tail else 0, follow=False)
        if is_proxy(line) == proxy
    ]
    yield from deque(past, maxlen=tail)
    if not follow:
        return
    # The two answers overlap, so that no line between them is lost; what was seen is left out.
    seen = Counter(past)
    for line in client.logs(workload, tail=_OVERLAP if tail else 0, follow=True):
        if is_proxy(line) != proxy:
            continue
        if seen[line] > 0:
            seen[line] -= 1
            continue
        yield line
