"""The part of the outbound listener that leads beyond the mesh: connections that are not HTTP."""

from collections.abc import Iterable

import msgspec
from google.protobuf.duration_pb2 import Duration

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from osm.core.envoy.chain_choice import Choice, by_range, by_server_name, chain, if_tls
from osm.core.envoy.filters.tcp_proxy import outbound_tcp_proxy, tcp_proxy
from osm.core.envoy.observation import Observation
from osm.core.model.egress import original_cluster

Chain = listener_components_pb2.FilterChain
Predicate = listener_components_pb2.ListenerFilterChainMatchPredicate

INSPECTION_LIMIT = Duration(seconds=1)
"""How long the beginning of TLS is waited for on a port where it is expected. Who does not begin, as
clients of a service of the mesh there whose server speaks first, is served after that."""


class EgressRange(msgspec.Struct, frozen=True, order=True, gc=False):
    """What may go to the addresses of a range, those of narrower ranges left out.

    Everything, or every TLS connection, or those that ask for one of `server_names`.
    """

    range: str
    anything: bool
    any_tls: bool
    server_names: tuple[str, ...]


class EgressPort(msgspec.Struct, frozen=True, order=True, gc=False):
    """Connections that may leave by one port. The mesh's own HTTP services there come first."""

    port: int
    mesh_http: tuple[str, ...]
    ranges: tuple[EgressRange, ...]
    inspected: bool
    """Whether the server name must be known; never where servers may speak first."""


def by_egress(value: EgressPort, otherwise: Choice) -> Choice:
    """What becomes of a connection to an address that is not the mesh's."""
    ours = chain(_chain_name(value.port))
    return by_range(
        {each.range: _in_range(each, ours, otherwise) for each in value.ranges}, otherwise
    )


def _in_range(value: EgressRange, ours: Choice, otherwise: Choice) -> Choice:
    if value.anything:
        return ours
    if value.any_tls:
        return if_tls(ours, otherwise)
    return by_server_name(value.server_names, ours, otherwise)


def egress_chain(observation: Observation, port: int) -> Chain:
    """Build the chain of what may leave by a port."""
    return original_destination_chain(_chain_name(port), observation, original_cluster(port))


def original_destination_chain(name: str, observation: Observation, cluster: str) -> Chain:
    """Build a chain to where the application has connected to."""
    proxy = outbound_tcp_proxy(observation)
    proxy.cluster = cluster
    return Chain(name=name, filters=[tcp_proxy(proxy)])


def inspect_server_names(listener: listener_pb2.Listener, ports: Iterable[int]) -> None:
    """Look at the beginning of connections to these ports, and of no other."""
    ranges = [Predicate(destination_port_range={"start": p, "end": p + 1}) for p in ports]
    if not ranges:
        return
    inspected = Predicate(or_match=Predicate.MatchSet(rules=ranges)) if ranges[1:] else ranges[0]
    inspector = listener.listener_filters.add(
        name="envoy.filters.listener.tls_inspector", filter_disabled=Predicate(not_match=inspected)
    )
    inspector.typed_config.Pack(tls_inspector_pb2.TlsInspector())
    listener.listener_filters_timeout.CopyFrom(INSPECTION_LIMIT)
    listener.continue_on_listener_filters_timeout = True


def _chain_name(port: int) -> str:
    return f"egress.{port}"
