"""Composition: the only place that knows every adapter.

`pipeline` leads objects through the compiler to the proxies; `local_mesh` puts a whole mesh on this
machine together, `controller` the control plane alone. What people ask of either is `mesh_api`.
"""
