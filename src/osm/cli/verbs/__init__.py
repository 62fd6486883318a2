"""The verbs of `osm`: a file each, with a click command named `command`."""
