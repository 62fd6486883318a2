"""What becomes of an installation of OSM v1.1 or v1.2 when this mesh takes over: judged, and planned.

Here: objects as values in, a report and a plan out. Not here: reading them from files or a cluster
(`osm.cli`), and changing anything. Facts about OSM are `reference/osm.md`'s; where we differ on purpose,
`docs/decisions/0003-where-we-differ-from-osm.md` says.
"""
