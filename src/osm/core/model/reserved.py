"""Ports of a pod that its proxy takes for itself, and the proxy's name there (`reference/osm.md` §6.2)."""

_RESERVED = {
    15000: "its admin interface",
    15001: "outgoing connections",
    15003: "incoming connections",
    15010: "its metrics",
    15901: "liveness probes",
    15902: "readiness probes",
    15903: "startup probes",
    15904: "probes by TCP",
}

PROXY_CONTAINER = "envoy"
"""The name of the container that injection adds; a pod with one of its own is refused."""
HEALTH_PORT_NAME = "proxy-health"
"""Of the port where that container says whether it is ready. OSM v1.x's had none of this name."""
UUID_LABEL = "osm-proxy-uuid"
"""Label of pods with a proxy of either mesh. OSM's tools find them by it; nothing is proved by it."""


def reserved_for(port: int) -> str:
    """What the proxy needs a port for; empty if it does not."""
    return _RESERVED.get(port, "")
