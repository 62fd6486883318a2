"""The web page's server and the JSON API of a running mesh, for the page and for the `osm` command.

Here: HTTP routes over `osm.ports.MeshApi`, the guard in front of them, the event stream, and a
thin wrapper around uvicorn. Not here: what a mesh knows or decides (`osm.runtime` gives a
`MeshApi`), and the page's source, which is in `web/` and is built into `static/`.
"""
