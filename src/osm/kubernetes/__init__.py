"""The Kubernetes platform: objects from an API server, and what is written back to it.

Here live: the connection to the API server, reflectors that keep a copy of its objects, and the
source that makes changes of them. Not here: what objects mean (`osm.core`), and what `osm install`
writes (`osm.core.install`).
"""
