"""`osm proxy`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.proxy import bootstrap, diff, get, list_proxies, set_admin, status


@click.group(cls=VerbGroup, name="proxy")
def command() -> None:
    """Look at the proxies."""


for _verb in (list_proxies, status, diff, get, set_admin, bootstrap):
    command.add_command(_verb.command)
