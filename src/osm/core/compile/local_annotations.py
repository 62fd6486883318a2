"""How the local platform tells where a workload's proxy is: annotations on its pods.

On Kubernetes none of them is present, and a proxy is found at its pod's own address.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated

import msgspec

from osm.core.model.redirection import Redirection
from osm.core.model.workload import Capture, Explicit, Redirected

PREFIX = "local.openservicemesh.io/"
INBOUND_ADDRESS = PREFIX + "inbound-address"
INGRESS_ADDRESS = PREFIX + "ingress-address"
APP_IP = PREFIX + "app-ip"
CAPTURE = PREFIX + "capture"
FORWARD = PREFIX + "forward"
"""`<port of this machine>:<port of the pod>`: a page that `osm up` makes reachable."""
INGRESS = PREFIX + "ingress"
"""`<port of this machine>:<port of the pod>`: the same through the pod's proxy, as from outside of the
mesh. An IngressBackend decides who may."""
COUNTERS = PREFIX + "counters"
"""`<port>/<path>`: where a demo application shows its counters as JSON."""
TEMPLATE_HASH = PREFIX + "template-hash"
"""What a pod was made from. When it changes, the pod is started anew; other changes only show."""
REDIRECTION = PREFIX + "redirection"
"""What of its traffic goes around the proxy, merged (`core.model.redirection`), as JSON."""
KNOWN = (
    REDIRECTION,
    *(INBOUND_ADDRESS, INGRESS_ADDRESS, APP_IP, CAPTURE),
    *(FORWARD, INGRESS, COUNTERS, TEMPLATE_HASH),
)


Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where a workload's application and proxy are. Empty fields: as on Kubernetes."""

    inbound: str = ""
    app_ip: str = "127.0.0.1"
    capture: Capture = Redirected()
    ingress: str = ""
    redirection: Redirection = Redirection()


_AS_ON_KUBERNETES = Placement()


class _Explicit(msgspec.Struct, frozen=True):
    ip: str
    http_port: Port
    tcp_ports: tuple[tuple[str, Port], ...] = ()


def local_placement(annotations: Mapping[str, str]) -> Placement:
    """What the annotations say; what cannot be read counts as not said.

    Only the platform writes them, but anybody may write a pod: one that is made up must not keep
    all others from being compiled.
    """
    if not annotations:
        return _AS_ON_KUBERNETES
    inbound = annotations.get(INBOUND_ADDRESS, "")
    ingress = annotations.get(INGRESS_ADDRESS, "")
    app_ip = annotations.get(APP_IP, "")
    return Placement(
        inbound=inbound if _is_place(inbound) else "",
        ingress=ingress if _is_place(ingress) else "",
        app_ip=app_ip if _is_ip(app_ip) else "127.0.0.1",
        capture=_capture(annotations.get(CAPTURE, "redirected")),
        redirection=local_redirection(annotations),
    )


def local_redirection(annotations: Mapping[str, str]) -> Redirection:
    """What goes around a pod's proxy; nothing, when it cannot be read."""
    try:
        return msgspec.json.decode(annotations.get(REDIRECTION, "{}"), type=Redirection)
    except msgspec.DecodeError:
        return Redirection()


def _capture(text: str) -> Capture:
    """`redirected`, or JSON with ip, http_port and tcp_ports."""
    if text == "redirected":
        return Redirected()
    try:
        explicit = msgspec.json.decode(text, type=_Explicit)
    except msgspec.DecodeError:
        return Redirected()
    return Explicit(explicit.ip, explicit.http_port, explicit.tcp_ports)


def _is_place(inbound: str) -> bool:
    if inbound.startswith("unix:"):
        return True
    ip, _, port = inbound.replace("{port}", "1").rpartition(":")
    return _is_ip(ip) and port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
