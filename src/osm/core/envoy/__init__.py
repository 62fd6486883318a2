"""From the model to Envoy: the only place, with `core.xds`, that knows Envoy's messages.

Each module builds one kind of resource. A builder takes one frozen value, and that value is its cache
key: what is not in it cannot influence the result. `catalog` says which value belongs to which name
for which proxy; `render` turns values into resources. Filters are one small file each, in `filters/`.
"""
