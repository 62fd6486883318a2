"""What an installed mesh is made of, as values: names, options, manifests, and plans of change.

Here: `helm`-style values to manifests, what an upgrade changes and what an uninstall removes. Not here:
talking to an API server (`osm.kubernetes`), and the pods of applications (`osm.core.inject`).
"""
