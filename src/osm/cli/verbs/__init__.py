"""The verbs of `osm`, a file each with a click command named `command`. `osm.cli.main` lists them."""
