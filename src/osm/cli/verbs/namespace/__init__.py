"""`osm namespace`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.namespace import add, ignore, list_namespaces, remove


@click.group(cls=VerbGroup, name="namespace")
def command() -> None:
    """Choose which namespaces of a cluster are in the mesh."""


for _verb in (add, remove, ignore, list_namespaces):
    command.add_command(_verb.command)
