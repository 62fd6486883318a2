"""`osm verify`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.verify import connectivity, control_plane, egress, ingress


@click.group(cls=VerbGroup, name="verify")
def command() -> None:
    """Verify step by step that pods can talk, and that the control plane is well."""


for _verb in (connectivity, egress, ingress, control_plane):
    command.add_command(_verb.command)
command.add_command(control_plane.as_osm_names_it)
