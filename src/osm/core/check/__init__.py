"""Whether a cluster can have a mesh, and whether the mesh that it has is well: checks over facts.

Here: facts as values, and a function for each check. Not here: gathering the facts (`osm.kubernetes`),
and showing what came out (`osm.cli`). What objects of policy say wrongly is `osm analyze`'s matter.
"""
