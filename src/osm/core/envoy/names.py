"""Names and ports that proxies, people and other tools rely on (`reference/osm.md` §6.2, §7.2)."""

ADMIN_PORT = 15000
OUTBOUND_PORT = 15001
INBOUND_PORT = 15003
METRICS_PORT = 15010

CONTROL_PLANE_CLUSTER = "osm-controller"
OUTBOUND_LISTENER = "outbound-listener"
INBOUND_LISTENER = "inbound-listener"
INGRESS_LISTENER = "ingress-listener"

SERVICE_CERTIFICATE = "service-cert"
"""The asking proxy's own certificate. OSM put the identity into the name; ours does not, so that one
cluster's bytes serve every proxy. Whose certificate it is follows from who asks."""
ROOT_CERTIFICATES = "root-cert"
RUNTIME_LAYER = "access"

MESH_ALPN = "osm"
"""What proxies say first in the handshake (ALPN), as OSM's did: it tells their connections from those
of others on one port. Who they are is what their certificates say."""

PASSTHROUGH_CLUSTER = "passthrough-outbound"
"""Wherever the application has connected to."""

METADATA = "osm"
"""The namespace of our entries in Envoy's metadata."""


def outbound_routes(port: int) -> str:
    """Routes for HTTP to services on one port; 0 for a proxy that is told the port by the request."""
    return f"rds-outbound.{port}" if port else "rds-outbound"


def parse_outbound_routes(name: str) -> int | None:
    """The port in the name of outbound routes; 0 for the port-less one, None for another name."""
    if name == "rds-outbound":
        return 0
    prefix, _, number = name.partition(".")
    return int(number) if prefix == "rds-outbound" and _is_port(number) else None


def inbound_routes(port: int) -> str:
    """Routes for HTTP to one port of a workload."""
    return f"rds-inbound.{port}"


def ingress_routes(port: int) -> str:
    """Routes for HTTP from outside of the mesh to one port of a workload."""
    return f"rds-ingress.{port}"


def tcp_access(port: int) -> str:
    """The access rules of one TCP port of a workload."""
    return f"tcp-access.{port}"


def tcp_callers(port: int) -> str:
    """The secret that says whose certificates a TCP port accepts."""
    return f"tcp-callers.{port}"


def parse_port(name: str, prefix: str) -> int | None:
    """The port in names such as `rds-inbound.<port>`, or None for another name."""
    head, _, number = name.rpartition(".")
    return int(number) if head == prefix and _is_port(number) else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536
