"""`osm migrate`: the verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.migrate import check


@click.group(cls=VerbGroup, name="migrate")
def command() -> None:
    """Come from OSM v1.1 or v1.2."""


command.add_command(check.command)
