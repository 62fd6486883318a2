"""Workloads: what runs and has an identity."""

from enum import StrEnum

import msgspec

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.redirection import Redirection


class SocketAddress(msgspec.Struct, frozen=True, order=True, gc=False, tag=True):
    """An IP address and a TCP port."""

    ip: str
    port: int


class PipeAddress(msgspec.Struct, frozen=True, order=True, gc=False, tag=True):
    """A unix socket, by its path on the machine that the proxies share."""

    path: str


Address = SocketAddress | PipeAddress


class Redirected(msgspec.Struct, frozen=True, order=True, gc=False, tag=True):
    """All TCP that the application opens arrives at the proxy, which sees the original destination."""


class Explicit(msgspec.Struct, frozen=True, order=True, gc=False, tag=True):
    """Nothing is redirected: the application is told where its proxy listens.

    HTTP goes to `http_proxy`; each TCP service port has a listener of its own on `ip`, at the port in
    `tcp_ports` (pairs of service address `ip:port` and local port).
    """

    ip: str
    http_port: int
    tcp_ports: tuple[tuple[str, int], ...] = ()


Capture = Redirected | Explicit


class ProxyKind(StrEnum):
    """Whose proxy stands before a workload. Without one it neither proves who it is nor asks others."""

    OWN = "own"
    FORMER = "former"
    """OSM v1.x's, which that mesh's control plane configures."""
    NONE = "none"


class Workload(msgspec.Struct, frozen=True, order=True, gc=False):
    """A pod, a local process or a machine, as the mesh sees it."""

    namespace: str
    name: str
    identity: Identity
    ip: str
    """The address that other workloads know it by."""
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    """Named container ports: name and number."""
    ready: bool = False
    serves: bool = False
    """Its containers are ready, by what was heard of its node last: what counts when no workload behind
    a service is ready."""
    owner_kind: str = "Pod"
    owner_name: str = ""
    subdomain: str = ""
    """The governing headless service of a StatefulSet's pod."""
    app_ip: str = "127.0.0.1"
    """Where the proxy reaches the application."""
    inbound: str = ""
    """Where its proxy takes mutual TLS: `unix:<path>` or `<ip>:<port>`, `{port}` standing for the
    target port. Empty means the workload's own address and port, redirected (Kubernetes)."""
    ingress: str = ""
    """Where its proxy takes what comes from outside of the mesh, in the same way; whoever forwards to
    it says by the PROXY protocol who calls. Empty: redirected as well."""
    capture: Capture = Redirected()
    redirection: Redirection = Redirection()
    """What of its traffic goes around its proxy."""
    eager: bool | None = None
    """Its proxy holds all services at once; None: as the mesh's settings say."""
    proxy_kind: ProxyKind = ProxyKind.OWN
    takes_mutual_tls: bool = True
    """Whether callers of the mesh get an answer from it; nobody is sent there in plain text instead."""

    @property
    def proxy(self) -> ProxyIdentity:
        return ProxyIdentity(self.identity, self.name)

    def inbound_address(self, target_port: int) -> Address:
        """Where other proxies connect for one target port."""
        return self._place(self.inbound, target_port)

    def ingress_address(self, target_port: int) -> Address:
        """Where what comes from outside of the mesh arrives for one target port."""
        return self._place(self.ingress, target_port)

    def _place(self, pattern: str, target_port: int) -> Address:
        if not pattern:
            return SocketAddress(self.ip, target_port)
        place = pattern.replace("{port}", str(target_port))
        if place.startswith("unix:"):
            return PipeAddress(place.removeprefix("unix:"))
        ip, _, port = place.rpartition(":")
        return SocketAddress(ip, int(port))
