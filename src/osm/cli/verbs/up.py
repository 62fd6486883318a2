"""`osm up`."""

import sys
from collections.abc import Sequence

import click

from osm.cli.command import Verb
from osm.cli.launch import LocalMesh, local_mesh
from osm.cli.manifest_text import existing_path
from osm.cli.presenters import Lines, Quiet
from osm.cli.run_options import run_and_report, run_options
from osm.core.explain.view import MeshView


@click.command(
    cls=Verb,
    examples="""
    osm up manifests/
    osm up apps.yaml policies/ --mesh shop
    osm up manifests/ --isolation none --page-port 8090
    osm up manifests/ --duration 30 -o json
    """,
)
@click.argument("names", nargs=-1, required=True, metavar="PATH...")
@run_options
def command(
    *,
    names: tuple[str, ...],
    mesh: str,
    isolation: str,
    page_port: int,
    duration: float | None,
    quiet: bool,
    output: str,
) -> int:
    """Run a mesh from YAML files, in the foreground.

    The containers of Deployments, StatefulSets and Pods become processes on this machine, each with
    an Envoy beside it. Prints what they print. An edited file takes effect at once. Ctrl-C ends the
    mesh and leaves nothing behind.
    """
    paths = tuple(existing_path(name).absolute() for name in names)
    start = local_mesh(LocalMesh(mesh, paths, isolation, page_port))
    if quiet or output == "json":
        presenter = Quiet(sys.stderr)
    else:
        presenter = Lines(sys.stdout, sys.stderr, logs=True, next_steps=_next_steps)
    return run_and_report(
        start, presenter, duration=duration, output=output, summary=duration is not None
    )


def _next_steps(view: MeshView) -> Sequence[str]:
    mesh = "" if view.mesh == "osm" else f" --mesh {view.mesh}"
    return tuple(f"osm {each}{mesh}" for each in ("status", "get all -A", "dashboard"))
