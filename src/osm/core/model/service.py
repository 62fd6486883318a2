"""Services, their ports and the endpoints behind them."""

from enum import StrEnum

import msgspec

from osm.core.model.identity import Identity
from osm.core.model.workload import Address

HTTP_PORT = 80
"""What an authority without a port means."""


class Protocol(StrEnum):
    """What a service port speaks (DESIGN §4)."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"
    TLS = "tls"
    TCP_SERVER_FIRST = "tcp-server-first"

    @property
    def is_http(self) -> bool:
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)


class ServiceName(msgspec.Struct, frozen=True, order=True, gc=False):
    """A service. `subdomain` is set for one StatefulSet pod behind a headless service."""

    namespace: str
    name: str
    subdomain: str = ""

    @property
    def host(self) -> str:
        """As its own namespace writes it: a pod's stable name goes before the service's."""
        return f"{self.subdomain}.{self.name}" if self.subdomain else self.name

    @property
    def fqdn(self) -> str:
        """`cluster.local` is fixed, as in OSM: it is not the trust domain (`reference/osm.md` §7.1)."""
        return f"{self.host}.{self.namespace}.svc.cluster.local"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.host}"


class PortName(msgspec.Struct, frozen=True, order=True, gc=False):
    """A service port: what clients call, and what routes and clusters are made for."""

    service: ServiceName
    port: int

    def __str__(self) -> str:
        return f"{self.service}:{self.port}"


class Endpoint(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where one workload answers for one service port."""

    address: Address
    namespace: str
    workload: str
    owner_kind: str
    owner_name: str
    ready: bool = True


class ServicePort(msgspec.Struct, frozen=True, order=True, gc=False):
    """A service port: addresses that clients connect to, protocol, and who stands behind it.

    `identities` are those of every workload that the service selects, ready or not: a client accepts
    these and no other. Endpoints are kept apart (`Model.endpoints`), since they change often.
    """

    name: PortName
    protocol: Protocol
    target_port: int
    """Resolved number; 0 when the target port is a name that no workload has."""
    addresses: tuple[str, ...]
    """The virtual IP address, or the endpoints' for a headless service."""
    identities: tuple[Identity, ...]
    headless: bool = False

    @property
    def cluster_name(self) -> str:
        """`<ns>/<svc>|<target port>`, as OSM's (`reference/osm.md` §7.2)."""
        return f"{self.name.service}|{self.target_port}"
