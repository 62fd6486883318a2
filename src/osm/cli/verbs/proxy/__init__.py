"""`osm proxy`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.proxy import bootstrap, diff, get, list_proxies, status


@click.group(cls=VerbGroup, name="proxy")
def command() -> None:
    """Look at the proxies."""


for _verb in (list_proxies, status, diff, get, bootstrap):
    command.add_command(_verb.command)
