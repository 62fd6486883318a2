"""`osm support`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.support import bug_report, error_info


@click.group(cls=VerbGroup, name="support")
def command() -> None:
    """Explain error codes, and gather what a report of a problem needs."""


for _verb in (bug_report, error_info):
    command.add_command(_verb.command)
