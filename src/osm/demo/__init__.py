"""The bookstore: applications and manifests that show a mesh at work.

Here live the programs (`python -m osm.demo.bookbuyer --port 14001` and so on; standard library
only, so that they start at once), the manifests that run them on this machine and on Kubernetes,
and `scenario`, which says what belongs to which start and what to try next. The programs behave as
those that OSM's users know (`reference/osm.md` §9.1), so that OSM's guides can be followed.

Nothing of the mesh lives here: the programs do not know that they are in one, and the mesh does not
know them.
"""
