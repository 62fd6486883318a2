"""`osm upgrade`: the same as `osm mesh upgrade`."""

from osm.cli.verbs.mesh.upgrade import upgrade_command

command = upgrade_command("osm upgrade")
