"""`osm policy`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.policy import check_conflicts, check_pods


@click.group(cls=VerbGroup, name="policy")
def command() -> None:
    """Check which policies let pods talk, and which contradict each other."""


for _verb in (check_pods, check_conflicts):
    command.add_command(_verb.command)
