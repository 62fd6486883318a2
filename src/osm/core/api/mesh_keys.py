"""Labels and annotations by which people put namespaces and pods into the mesh (`reference/osm.md` §2)."""

DOMAIN = "openservicemesh.io"
MONITORED_BY = f"{DOMAIN}/monitored-by"
"""Label of a namespace: the mesh that it is part of."""
TAKEN_OVER_BY = f"{DOMAIN}/taken-over-by"
"""Label of a namespace that another mesh monitors: the mesh whose proxies its new pods get."""
IGNORE = f"{DOMAIN}/ignore"
"""Label of a namespace: no mesh looks at it, whatever the value is."""
INJECTION = f"{DOMAIN}/sidecar-injection"
"""Annotation of a pod, or of its namespace: whether it gets a proxy."""
METRICS = f"{DOMAIN}/metrics"
"""Annotation of a namespace: whether Prometheus shall find its proxies."""

SWITCH = {
    "enabled": True,
    "yes": True,
    "true": True,
    "disabled": False,
    "no": False,
    "false": False,
}
"""The values of both annotations, in any case."""

SYSTEM_NAMESPACES = ("kube-system", "kube-public")
"""Never part of a mesh, whatever their labels say."""
