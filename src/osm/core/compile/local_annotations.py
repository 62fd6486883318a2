"""How the local platform tells where a workload's proxy is: annotations on its pods.

On Kubernetes none of them is present, and a proxy is found at its pod's own address.
"""

from collections.abc import Mapping

import msgspec

from osm.core.model.workload import Capture, Explicit, Redirected

PREFIX = "local.openservicemesh.io/"
INBOUND_ADDRESS = PREFIX + "inbound-address"
APP_IP = PREFIX + "app-ip"
CAPTURE = PREFIX + "capture"
FORWARD = PREFIX + "forward"
"""`<port of this machine>:<port of the pod>`: a page that `osm up` makes reachable."""
COUNTERS = PREFIX + "counters"
"""`<port>/<path>`: where a demo application shows its counters as JSON."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where a workload's application and proxy are. Empty fields: as on Kubernetes."""

    inbound: str = ""
    app_ip: str = "127.0.0.1"
    capture: Capture = Redirected()


class _Explicit(msgspec.Struct, frozen=True):
    ip: str
    http_port: int
    tcp_ports: tuple[tuple[str, int], ...] = ()


def local_placement(annotations: Mapping[str, str]) -> Placement:
    """What the annotations say. `capture` is `redirected` or JSON with ip, http_port and tcp_ports."""
    capture: Capture = Redirected()
    text = annotations.get(CAPTURE, "redirected")
    if text != "redirected":
        explicit = msgspec.json.decode(text, type=_Explicit)
        capture = Explicit(explicit.ip, explicit.http_port, explicit.tcp_ports)
    return Placement(
        inbound=annotations.get(INBOUND_ADDRESS, ""),
        app_ip=annotations.get(APP_IP, "127.0.0.1"),
        capture=capture,
    )
