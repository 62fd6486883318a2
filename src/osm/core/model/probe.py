"""Probes of a pod that its proxy answers, since nobody else gets past it without mutual TLS.

The kubelet asks the proxy on ports of its own, which no policy guards: so these lead to what a probe
asks for, and nowhere else. Ports, paths and the header are OSM's (`reference/osm.md` §6.4).
"""

from enum import StrEnum

import msgspec

HEALTH_PORT = 15904
"""Where the proxy says whether it is ready itself, and whether ports of the application are open."""
READY_PATH = "/osm-proxy-ready"
"""Answered with 200 as soon as the proxy has its first configuration."""
TCP_PATH = "/osm-healthcheck"
TCP_HEADER = "Original-Tcp-Port"
"""The header of a request for `TCP_PATH` that says which port is meant."""


class ProbeKind(StrEnum):
    """What an answer is for."""

    LIVENESS = "liveness"
    READINESS = "readiness"
    STARTUP = "startup"

    @property
    def port(self) -> int:
        """Where the proxy is asked."""
        return {"liveness": 15901, "readiness": 15902, "startup": 15903}[self.value]


class HttpProbe(msgspec.Struct, frozen=True, order=True, gc=False):
    """A request that the proxy makes of its application for the kubelet."""

    kind: ProbeKind
    container: str
    port: int
    path: str
    """With its query, if there is one."""
    tls: bool = False
    """The application speaks TLS. Its certificate is not looked at, as the kubelet would not."""
    timeout_s: int = 1

    @property
    def asked_path(self) -> str:
        """What the kubelet asks the proxy for, exactly."""
        return f"/osm-{self.kind}-probe/{self.container}"


class TcpProbe(msgspec.Struct, frozen=True, order=True, gc=False):
    """A port of the application that is to be open. The proxy tries it by itself, each `period_s`
    while it is open and each second while it is not, and answers with what it found last: 200 or 503.
    """

    port: int
    period_s: int = 10
    timeout_s: int = 1


class Probes(msgspec.Struct, frozen=True, order=True, gc=False):
    """All of a pod, sorted; one entry for each path, or port."""

    http: tuple[HttpProbe, ...] = ()
    tcp: tuple[TcpProbe, ...] = ()
