"""What proxies would be sent, and where they are: all that the simulation knows of a mesh."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import msgspec
from google.protobuf.message import Message

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm.core.explain.simulation import unpack
from osm.core.explain.simulation.call import Certificate
from osm.core.explain.simulation.fields import check

OUTBOUND, INBOUND = 15001, 15003
"""Where redirected connections arrive that an application opens, and those that are for it."""
RUNTIME_LAYER = "access"

Fetch = Callable[[str, str, str], Message | None]
"""What a proxy is sent for a type and a name; None: there is nothing."""
Unasked = Callable[[str, str], Sequence[str]]
"""The names of a type that a proxy is sent without asking."""
M = TypeVar("M", bound=Message)


class Place(msgspec.Struct, frozen=True):
    """A proxy's address, and the certificate that its secret holds."""

    ip: str
    certificate: Certificate


class Sent:
    """What proxies get, each resource checked once for what the simulation does not know."""

    def __init__(self, places: Mapping[str, Place], fetch: Fetch, unasked: Unasked) -> None:
        self.places = places
        self._fetch = fetch
        self._unasked = unasked
        self._held: dict[tuple[str, str, str], Message | None] = {}
        self._checked: dict[int, Message] = {}
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._listeners: dict[str, tuple[listener_pb2.Listener, ...]] = {}

    def get(self, proxy: str, kind: type[M], name: str) -> M | None:
        """A resource of a proxy by its name."""
        key = (proxy, kind.DESCRIPTOR.full_name, name)
        if key not in self._held:
            found = self._fetch(proxy, unpack.type_url(kind), name)
            if found is not None and id(found) not in self._checked:
                check(found)
                self._checked[id(found)] = found
            self._held[key] = found
        found = self._held[key]
        assert found is None or isinstance(found, kind)
        return found

    def names(self, proxy: str, type_url: str) -> tuple[str, ...]:
        """What a proxy is sent unasked."""
        key = (proxy, type_url)
        if key not in self._names:
            self._names[key] = tuple(self._unasked(proxy, type_url))
        return self._names[key]

    def listeners(self, proxy: str) -> tuple[listener_pb2.Listener, ...]:
        if proxy not in self._listeners:
            found = (
                self.get(proxy, listener_pb2.Listener, name)
                for name in self.names(proxy, unpack.LISTENER)
            )
            self._listeners[proxy] = tuple(each for each in found if each is not None)
        return self._listeners[proxy]

    def cluster(self, proxy: str, name: str, *, on_demand: bool) -> cluster_pb2.Cluster | None:
        """A cluster that a proxy has, or may ask for."""
        if not on_demand and name not in self.names(proxy, unpack.CLUSTER):
            return None
        return self.get(proxy, cluster_pb2.Cluster, name)

    def addresses(self, proxy: str, cluster: cluster_pb2.Cluster) -> list[address_pb2.Address]:
        """The addresses of a cluster's endpoints."""
        assignment: endpoint_pb2.ClusterLoadAssignment | None = cluster.load_assignment
        if cluster.type == cluster_pb2.Cluster.EDS:
            name = cluster.eds_cluster_config.service_name or cluster.name
            assignment = self.get(proxy, endpoint_pb2.ClusterLoadAssignment, name)
        found = assignment.endpoints if assignment is not None else ()
        return [each.endpoint.address for place in found for each in place.lb_endpoints]

    def hosts(self, proxy: str, routes: str) -> list[route_components_pb2.VirtualHost]:
        """The virtual hosts of a route configuration that a proxy is sent unasked."""
        found = (
            self.get(proxy, route_components_pb2.VirtualHost, name)
            for name in self.names(proxy, unpack.VIRTUAL_HOST)
            if name.rpartition("/")[0] == routes
        )
        return [each for each in found if each is not None]

    def secret(self, proxy: str) -> Callable[[str], secret_pb2.Secret | None]:
        return lambda name: self.get(proxy, secret_pb2.Secret, name)

    def is_open(self, proxy: str) -> Callable[[str, int], bool]:
        """Whether a runtime key, with its default, is at 100 %."""
        runtime = self.get(proxy, rtds_pb2.Runtime, RUNTIME_LAYER)

        def ask(key: str, default: int) -> bool:
            fields = runtime.layer.fields if runtime is not None else {}
            share = fields[key].number_value if key in fields else float(default)
            assert share in (0.0, 100.0), "a share of all connections is no verdict"
            return share == 100.0

        return ask

    def behind(self, address: address_pb2.Address) -> tuple[str, listener_pb2.Listener] | None:
        """The proxy and the listener that take what is sent to an address."""
        found = self._by_address.get(spelled(address))
        if found is not None or address.WhichOneof("address") != "socket_address":
            return found
        for proxy, place in self.places.items():
            if place.ip == address.socket_address.address:
                listener = self.redirected(proxy, INBOUND)
                return (proxy, listener) if listener is not None else None
        return None

    @cached_property
    def _by_address(self) -> dict[str, tuple[str, listener_pb2.Listener]]:
        return {
            spelled(listener.address): (proxy, listener)
            for proxy in self.places
            for listener in self.listeners(proxy)
        }

    def redirected(self, proxy: str, port: int) -> listener_pb2.Listener | None:
        """The listener that takes redirected connections."""
        for listener in self.listeners(proxy):
            at = listener.address.socket_address
            if (at.address, at.port_value) == ("0.0.0.0", port):  # noqa: S104 what it is bound to
                return listener
        return None


def spelled(address: address_pb2.Address) -> str:
    """An address as text."""
    if address.WhichOneof("address") == "pipe":
        return address.pipe.path
    return f"{address.socket_address.address}:{address.socket_address.port_value}"
