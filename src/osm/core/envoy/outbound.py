"""The outbound listener: everything that the application sends.

HTTP is told from TCP by the destination port, for which the mesh knows the protocols; nothing is
sniffed, so a protocol in which the server speaks first needs no special case. The listener knows
ports, not services: it grows with the kinds of ports in use, and services are asked for on demand.
Exceptions are TCP services on a port that is HTTP elsewhere, and TCP services that are split.

Each address that TCP goes to is asked for, and one that means nothing costs the proxy 26 kB for good
(`NowhereCluster`). So the listener can be told all addresses that mean something (`known_tcp`): what
goes elsewhere is then closed without a question.
"""

from collections.abc import Mapping

import msgspec
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.chain_choice import Choice, by_address, by_port, chain
from osm.core.envoy.connection_manager import http_connection_manager
from osm.core.envoy.egress_chains import (
    EgressPort,
    by_egress,
    egress_chain,
    inspect_server_names,
    original_destination_chain,
)
from osm.core.envoy.filters.discovery_replies import discovery_replies
from osm.core.envoy.filters.on_demand import (
    TIMEOUT,
    cluster_by_destination,
    http_on_demand,
    tcp_on_demand,
)
from osm.core.envoy.filters.rbac import http_rbac
from osm.core.envoy.filters.tcp_proxy import outbound_tcp_proxy, tcp_proxy
from osm.core.envoy.filters.traffic_metrics import http_traffic_metrics
from osm.core.envoy.names import (
    OUTBOUND_LISTENER,
    OUTBOUND_PORT,
    PASSTHROUGH_CLUSTER,
    outbound_routes,
)
from osm.core.envoy.observation import Observation
from osm.core.model.origin import Origin
from osm.core.model.workload import SocketAddress

Chain = listener_components_pb2.FilterChain
Match = listener_components_pb2.FilterChainMatch
Matcher = matcher_pb2.Matcher

NO_CLUSTER = "unknown-address"
KNOWN_CHAIN = "outbound_tcp_known"
UNKNOWN_CHAIN = "outbound_tcp_unknown"
OWN_PORT_CHAIN = "outbound_own_port"
"""Closes. A proxy that let pass what goes to its own port would call itself without end."""


class TcpSplit(msgspec.Struct, frozen=True, order=True, gc=False):
    """A TCP service port whose connections go to several clusters by weight."""

    port: int
    addresses: tuple[str, ...]
    clusters: tuple[tuple[str, int], ...]


class TcpException(msgspec.Struct, frozen=True, order=True, gc=False):
    """Addresses that speak TCP on a port where others speak HTTP."""

    port: int
    addresses: tuple[str, ...]


class OutboundListener(msgspec.Struct, frozen=True, order=True, gc=False):
    """The listener that redirected traffic arrives at."""

    observation: Observation
    http_ports: tuple[int, ...]
    tcp_exceptions: tuple[TcpException, ...]
    tcp_splits: tuple[TcpSplit, ...]
    known_tcp: tuple[tuple[int, tuple[str, ...]], ...] | None = None
    """The only ports and addresses that TCP may go to, each still asked for when it is first used.
    With None it may go to any, and each is asked for. Egress needs them: the mesh comes first.
    """
    ranged_http: tuple[int, ...] = ()
    """Those of `http_ports` on which some hosts may be called at some addresses only."""
    egress: tuple[EgressPort, ...] = ()
    origins: tuple[Origin, ...] = ()
    """Of `egress`."""
    passthrough: bool = False
    """What the mesh does not know goes where it was going."""


class ExplicitHttpListener(msgspec.Struct, frozen=True, order=True, gc=False):
    """An HTTP proxy for applications that are told of it; nothing is redirected."""

    name: str
    observation: Observation
    address: SocketAddress


class ExplicitTcpListener(msgspec.Struct, frozen=True, order=True, gc=False):
    """One TCP service port at an address of its own."""

    name: str
    observation: Observation
    address: SocketAddress
    clusters: tuple[tuple[str, int], ...]


def build_outbound_listener(value: OutboundListener) -> listener_pb2.Listener:
    """What fits no chain is TCP to an address; one that the mesh does not know is closed.

    `known_tcp` may come, change and go at any time: Envoy takes it in place, and every connection
    lives on (measured with Envoy 1.40).
    """
    listener = listener_pb2.Listener(
        name=OUTBOUND_LISTENER,
        address=envoy_address(SocketAddress("0.0.0.0", OUTBOUND_PORT)),  # noqa: S104 the workload's own namespace
        traffic_direction="OUTBOUND",
        filter_chains=[
            *(
                _http_chain(value.observation, port, ranged=port in value.ranged_http)
                for port in value.http_ports
            ),
            *(_exception_chain(value.observation, e) for e in value.tcp_exceptions),
            *(_split_chain(value.observation, s) for s in value.tcp_splits),
        ],
        default_filter_chain=_tcp_chain("outbound_tcp", value.observation),
    )
    if value.known_tcp is not None:
        known = _tcp_chain(KNOWN_CHAIN, value.observation)
        listener.filter_chains.extend([known, _unknown_chain(value)])
        if value.passthrough or value.egress:
            own = original_destination_chain(OWN_PORT_CHAIN, value.observation, NO_CLUSTER)
            listener.filter_chains.append(own)
        listener.filter_chains.extend(egress_chain(value.observation, e.port) for e in value.egress)
        listener.filter_chain_matcher.CopyFrom(_chain_by_destination(value, dict(value.known_tcp)))
    original_dst = listener.listener_filters.add(name="envoy.filters.listener.original_dst")
    original_dst.typed_config.Pack(original_dst_pb2.OriginalDst())
    inspect_server_names(listener, [e.port for e in value.egress if e.inspected])
    return listener


def build_explicit_http_listener(value: ExplicitHttpListener) -> listener_pb2.Listener:
    """Build the listener that takes HTTP for every service, as a forward proxy does."""
    return listener_pb2.Listener(
        name=value.name,
        address=envoy_address(value.address),
        traffic_direction="OUTBOUND",
        filter_chains=[
            Chain(
                name="outbound_http",
                filters=[_http_manager(value.observation, 0)],
            )
        ],
    )


def build_explicit_tcp_listener(value: ExplicitTcpListener) -> listener_pb2.Listener:
    """Build the listener of one TCP service port."""
    return listener_pb2.Listener(
        name=value.name,
        address=envoy_address(value.address),
        traffic_direction="OUTBOUND",
        filter_chains=[
            Chain(name=value.name, filters=[_weighted_tcp_proxy(value.observation, value.clusters)])
        ],
    )


def _http_chain(observation: Observation, port: int, *, ranged: bool) -> Chain:
    return Chain(
        name=_http_chain_name(port),
        filter_chain_match=Match(destination_port=UInt32Value(value=port)),
        filters=[_http_manager(observation, port, ranged=ranged)],
    )


def _http_manager(
    observation: Observation, port: int, *, ranged: bool = False
) -> listener_components_pb2.Filter:
    return http_connection_manager(
        stat_prefix=f"outbound_{port}" if port else "outbound",
        routes=outbound_routes(port),
        filters=(http_on_demand(), http_rbac()) if ranged else (http_on_demand(),),
        access_logs=[http_traffic_metrics(observation.who)],
        observation=observation,
        inbound=False,
        local_replies=discovery_replies(ranged=ranged),
        stream_idle_timeout=TIMEOUT,
    )


def _exception_chain(observation: Observation, exception: TcpException) -> Chain:
    chain = _tcp_chain(_exception_chain_name(exception), observation)
    chain.filter_chain_match.CopyFrom(_address_match(exception.port, exception.addresses))
    return chain


def _split_chain(observation: Observation, split: TcpSplit) -> Chain:
    return Chain(
        name=_split_chain_name(split),
        filter_chain_match=_address_match(split.port, split.addresses),
        filters=[_weighted_tcp_proxy(observation, split.clusters)],
    )


def _http_chain_name(port: int) -> str:
    return f"outbound_http_{port}"


def _exception_chain_name(exception: TcpException) -> str:
    return f"outbound_tcp_{exception.port}"


def _split_chain_name(split: TcpSplit) -> str:
    return f"outbound_split_{split.addresses[0]}_{split.port}"


def _unknown_chain(value: OutboundListener) -> Chain:
    """Closes what it gets, since there is no such cluster; with mesh-wide egress lets it pass."""
    cluster = PASSTHROUGH_CLUSTER if value.passthrough else NO_CLUSTER
    return original_destination_chain(UNKNOWN_CHAIN, value.observation, cluster)


def _chain_by_destination(
    value: OutboundListener, known_tcp: Mapping[int, tuple[str, ...]]
) -> Matcher:
    """By port, then by address. With a matcher, Envoy does not look at the chains' own matches."""
    egress = {each.port: each for each in value.egress}
    splits = (split.port for split in value.tcp_splits)
    choices: dict[int, Choice] = {}
    for port in sorted({*value.http_ports, *known_tcp, *splits, *egress}):
        rest = chain(_http_chain_name(port) if port in value.http_ports else UNKNOWN_CHAIN)
        chains: dict[str, str] = {}
        if port in egress:
            chains |= dict.fromkeys(egress[port].mesh_http, _http_chain_name(port))
            rest = by_egress(egress[port], rest)
        chains |= dict.fromkeys(known_tcp.get(port, ()), KNOWN_CHAIN)
        for exception in value.tcp_exceptions:
            if exception.port == port:
                chains |= dict.fromkeys(exception.addresses, _exception_chain_name(exception))
        for split in value.tcp_splits:
            if split.port == port:
                chains |= dict.fromkeys(split.addresses, _split_chain_name(split))
        choices[port] = by_address({ip: chain(name) for ip, name in chains.items()}, rest)
    if value.passthrough or value.egress:
        choices[OUTBOUND_PORT] = chain(OWN_PORT_CHAIN)
    return by_port(choices, chain(UNKNOWN_CHAIN))


def _address_match(port: int, addresses: tuple[str, ...]) -> Match:
    return Match(
        destination_port=UInt32Value(value=port),
        prefix_ranges=[
            address_pb2.CidrRange(
                address_prefix=ip, prefix_len=UInt32Value(value=128 if ":" in ip else 32)
            )
            for ip in addresses
        ],
    )


def _tcp_chain(name: str, observation: Observation) -> Chain:
    proxy = outbound_tcp_proxy(observation)
    proxy.on_demand.CopyFrom(tcp_on_demand())
    # The name is never a cluster: the filter before has set the one that counts.
    proxy.cluster = "set-by-destination"
    return Chain(
        name=name,
        filters=[
            cluster_by_destination(),
            tcp_proxy(proxy),
        ],
    )


def _weighted_tcp_proxy(
    observation: Observation, clusters: tuple[tuple[str, int], ...]
) -> listener_components_pb2.Filter:
    proxy = outbound_tcp_proxy(observation)
    proxy.on_demand.CopyFrom(tcp_on_demand())
    weighted = [(name, weight) for name, weight in clusters if weight > 0]
    if len(weighted) == 1:
        proxy.cluster = weighted[0][0]
    elif not weighted:
        proxy.cluster = "no-backend"
    for name, weight in weighted if len(weighted) > 1 else ():
        proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    return tcp_proxy(proxy)
