"""`--mesh-name`, as OSM has it: the mesh of a cluster that a verb is about."""

import click

from osm.cli.command import Decorated
from osm.cli.names import MESH

DEFAULT_MESH = "osm"


def mesh_name_option(function: Decorated) -> Decorated:
    """Add `--mesh-name`, by default `osm`."""
    return click.option(
        "--mesh-name",
        type=MESH,
        default=DEFAULT_MESH,
        show_default=True,
        metavar="NAME",
        help="The mesh's name.",
    )(function)
