"""`osm mesh`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.mesh import list_meshes, upgrade


@click.group(cls=VerbGroup, name="mesh")
def command() -> None:
    """Look at the meshes of a cluster, and upgrade them."""


for _verb in (list_meshes, upgrade):
    command.add_command(_verb.command)
