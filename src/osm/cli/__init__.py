"""The `osm` command.

`main` is the entry and the lazy list of verbs; `verbs` has a file per verb, imported when called.
What verbs share stands here by noun: how a running mesh is found and spoken to (`find_mesh`,
`client`), how values are shown (`render`, `encode`, `columns`), and the terminal views of a mesh
that this process runs (`run_mesh`, `progress`, `live`, `log_lines`, `summary`).

Nothing here decides anything about the mesh: that is in `osm.core`, reached through
`osm.ports.MeshApi` or its HTTP form. JSON and YAML output use camelCase keys, in every verb.
"""
