"""What the mesh means: frozen, hashable values, free of Kubernetes, SMI and Envoy.

Front ends (`core.compile`) produce them, back ends (`core.envoy`, `core.explain`) read them. Each
rule carries the origin that it came from. Nothing here knows a YAML version or an Envoy message.
"""
