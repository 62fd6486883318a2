"""`osm uninstall`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.uninstall import mesh


@click.group(cls=VerbGroup, name="uninstall")
def command() -> None:
    """Remove a mesh from a cluster."""


command.add_command(mesh.command)
