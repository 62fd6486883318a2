"""`osm verify`: a module for each verb below it."""

import click

from osm.cli.command import VerbGroup
from osm.cli.verbs.verify.connectivity import command as connectivity
from osm.cli.verbs.verify.control_plane import as_osm_names_it
from osm.cli.verbs.verify.control_plane import command as control_plane
from osm.cli.verbs.verify.egress import command as egress
from osm.cli.verbs.verify.ingress import command as ingress


@click.group(cls=VerbGroup, name="verify")
def command() -> None:
    """Verify step by step that pods can talk, and that the control plane is well."""


for _verb in (connectivity, egress, ingress, control_plane, as_osm_names_it):
    command.add_command(_verb)
