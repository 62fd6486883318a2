"""The options of the verbs that run a mesh in this process, and their common end."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from osm.cli.encode import to_json
from osm.cli.launch import Start
from osm.cli.names import MESH
from osm.cli.run_mesh import Presenter, run_mesh
from osm.cli.summary import summarise, summary_text

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

ISOLATIONS = ("auto", "root", "user", "none")


def new_mesh_option(function: Decorated) -> Decorated:
    """Add `--mesh`: what to call the mesh that is started."""
    return click.option(
        "--mesh", type=MESH, envvar="OSM_MESH", default="osm", show_default=True, metavar="NAME",
        help="What to call the mesh.",
    )(function)  # fmt: skip


def run_options(function: Decorated) -> Decorated:
    """Add the options that `up` and `demo` share."""
    options = (
        new_mesh_option,
        click.option(
            "--isolation", type=click.Choice(ISOLATIONS), default="auto", show_default=True,
            help="How workloads are kept apart: by namespaces of the kernel, made as root or as an "
            "ordinary user, or not at all.",
        ),
        page_port_option,
        click.option(
            "--duration", type=click.FloatRange(min=0, min_open=True, max=10_000_000),
            metavar="SECONDS", help="End by itself after this time, with a summary.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing while it runs."),
        click.option(
            "-o", "--output", type=click.Choice(("text", "json")), default="text",
            show_default=True, help="json: print nothing but the summary, at the end.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def page_port_option(function: Decorated) -> Decorated:
    """Add `--page-port`."""
    return click.option(
        "--page-port", type=click.IntRange(0, 65535), default=0, metavar="N",
        help="The port of the web page, on loopback.  [default: any that is free]",
    )(function)  # fmt: skip


def run_and_report(
    start: Start, presenter: Presenter, *, duration: float | None, output: str, summary: bool
) -> int:
    """Run a mesh to its end, print the summary if wanted, and return the exit code."""
    ended = asyncio.run(run_mesh(start, presenter, duration_s=duration))
    if ended.view is not None:
        if output == "json":
            click.echo(to_json(summarise(ended.view)))
        elif summary:
            click.echo("\n" + summary_text(summarise(ended.view)))
    return ended.exit_code


def is_terminal() -> bool:
    """Tell whether a person looks at what is printed, on something that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
