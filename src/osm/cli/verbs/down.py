"""`osm down`."""

import time
from pathlib import Path

import click

from osm.cli.client import MeshClient
from osm.cli.command import Verb, invocation, mesh_option
from osm.cli.find_mesh import find_mesh
from osm.errors import OsmError, UsageError
from osm.local.runtime_directory import is_running

_PAUSE_S = 0.1


@click.command(
    cls=Verb,
    examples="""
    osm down
    osm down --mesh shop
    """,
)
@mesh_option
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=3600),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for its end.",
)
def command(mesh: str | None, timeout: float) -> None:
    """Stop a running mesh.

    Its workloads and proxies end, and nothing of it is left on the machine. Your files stay.
    """
    if invocation().names_cluster:
        raise UsageError(
            "A mesh on a cluster is not stopped, but removed.", hint="Use: osm uninstall mesh"
        )
    name, path = find_mesh(mesh)
    with MeshClient(path, name) as client:
        client.shutdown()
    _wait_until_gone(name, path, timeout)
    click.echo(f"Mesh {name} stopped.")


def _wait_until_gone(name: str, path: Path, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while path.exists() or is_running(path.parent):
        if time.monotonic() >= end:
            raise OsmError(
                f"Mesh {name} still stops after {timeout_s:g} seconds.",
                hint="Look at the terminal that it runs in; Ctrl-C there stops it at once.",
            )
        time.sleep(_PAUSE_S)
