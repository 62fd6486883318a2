"""What `install`, `upgrade` and `uninstall` show while they work. All of it goes to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from osm.cli.progress import StartProgress, step_line
from osm.cli.render import has_colour, one_line, table
from osm.kubernetes.apply import Objects
from osm.kubernetes.rollout import Progress, pod_states, warnings


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show steps: drawn again and again on a terminal, and else as lines."""
    progress = StartProgress()
    if not has_colour(sys.stderr):

        def say(name: str, state: str, detail: str) -> None:
            step = progress.update(name, state, detail)
            click.echo(step_line(step, progress.elapsed_s), err=True)

        yield say
        return
    from rich.console import Console  # noqa: PLC0415 - slow
    from rich.live import Live  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415

    from osm.cli.live import steps_table  # noqa: PLC0415

    spinner = Spinner("dots")
    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=10) as live:

        def draw(name: str, state: str, detail: str) -> None:
            progress.update(name, state, detail)
            live.update(steps_table(progress, spinner))

        yield draw


async def print_pods(objects: Objects, namespace: str, selector: dict[str, str]) -> None:
    """Print the states of pods, and the last warnings of their namespace."""
    pods = await pod_states(objects, namespace, selector)
    if pods:
        rows = [(pod.name, str(pod.restarts), pod.why or "ready") for pod in pods]
        click.echo("\n" + table(("pod", "restarts", "state"), rows), err=True)
    else:
        click.echo(f"\nThere are no pods in namespace {namespace}.", err=True)
    events = await warnings(objects, namespace)
    if events:
        click.echo(f"\nThe last warnings in namespace {namespace}:", err=True)
        for line in events:
            click.echo(f"  {one_line(line)}", err=True)
    click.echo("", err=True)
