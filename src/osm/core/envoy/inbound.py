"""Inbound listeners: what other proxies send to a workload's ports, over mutual TLS and nothing else."""

import msgspec
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.address import envoy_address
from osm.core.envoy.connection_limits import ConnectionLimits, limit_connections
from osm.core.envoy.connection_manager import http_connection_manager
from osm.core.envoy.filters.denials import (
    DenialContext,
    denied_answer,
    http_denial_logs,
    tcp_denial_logs,
)
from osm.core.envoy.filters.external_authorization import external_authorization
from osm.core.envoy.filters.global_rate_limit import http_global_limit
from osm.core.envoy.filters.health_check import health_check
from osm.core.envoy.filters.internal_headers import internal_headers
from osm.core.envoy.filters.rate_limit import http_rate_limit
from osm.core.envoy.filters.rbac import http_rbac, tcp_rbac
from osm.core.envoy.filters.request_path import request_path
from osm.core.envoy.filters.tcp_proxy import inbound_tcp_proxy, tcp_proxy
from osm.core.envoy.filters.undelivered import undelivered_answer
from osm.core.envoy.ingress import IngressPort, ingress_chain, inspect_tls
from osm.core.envoy.names import (
    INBOUND_LISTENER,
    INBOUND_PORT,
    MESH_ALPN,
    inbound_routes,
    tcp_callers,
)
from osm.core.envoy.observation import NOTHING, Observation
from osm.core.envoy.tls import TlsSettings, downstream_tls
from osm.core.model.identity import Identity
from osm.core.model.workload import Address, SocketAddress

Chain = listener_components_pb2.FilterChain


class InboundPort(msgspec.Struct, frozen=True, order=True, gc=False):
    """One port of a workload: `is_http`, and the cluster of the application behind it."""

    port: int
    is_http: bool
    cluster: str
    limits: ConnectionLimits = ConnectionLimits()


class InboundListener(msgspec.Struct, frozen=True, gc=False):
    """One listener. With several ports they are told apart by the original destination."""

    name: str
    address: Address
    identity: Identity
    ports: tuple[InboundPort, ...]
    tls: TlsSettings
    redirected: bool = False
    ingress: tuple[IngressPort, ...] = ()
    """Ports that take something from outside of the mesh too; only where all is redirected."""
    health_checks: bool = False
    """Other proxies ask whether this one is there."""
    observation: Observation = NOTHING


def inbound_listener_name(port: int) -> str:
    """The listener of one port where each has a socket of its own."""
    return f"{INBOUND_LISTENER}.{port}"


def redirected_inbound(
    identity: Identity,
    ports: tuple[InboundPort, ...],
    tls: TlsSettings,
    ingress: tuple[IngressPort, ...] = (),
    *,
    health_checks: bool = False,
    observation: Observation = NOTHING,
) -> InboundListener:
    """The one listener that takes all redirected inbound traffic of a pod."""
    everywhere = SocketAddress("0.0.0.0", INBOUND_PORT)  # noqa: S104 the pod's own namespace
    return InboundListener(
        INBOUND_LISTENER,
        everywhere,
        identity,
        ports,
        tls,
        redirected=True,
        ingress=ingress,
        health_checks=health_checks,
        observation=observation,
    )


def build_inbound_listener(value: InboundListener) -> listener_pb2.Listener:
    """Build a listener with a filter chain for each port."""
    listener = listener_pb2.Listener(
        name=value.name,
        address=envoy_address(value.address),
        traffic_direction="INBOUND",
        filter_chains=[_chain(value, port) for port in value.ports],
    )
    if value.redirected:
        original_dst = listener.listener_filters.add(name="envoy.filters.listener.original_dst")
        original_dst.typed_config.Pack(original_dst_pb2.OriginalDst())
        # Always: a listener filter that comes with the first ingress would end all connections.
        inspect_tls(listener)
        _add_ingress(listener, value)
    for port in value.ports:
        if not port.is_http:
            listener.access_log.extend(tcp_denial_logs(_denials(value, port.port)))
    return listener


def _chain(value: InboundListener, port: InboundPort) -> Chain:
    chain = Chain(
        name=f"inbound_{port.port}_{'http' if port.is_http else 'tcp'}",
        transport_socket=downstream_tls(value.tls, alpn=("h2",))
        if port.is_http
        # Network RBAC looks when the caller sends its first byte, and a server that speaks first has
        # spoken by then (measured with Envoy 1.40): who may not connect fails in the handshake.
        else downstream_tls(value.tls, alpn=(), callers=tcp_callers(port.port)),
        filters=[
            *limit_connections(port.limits),
            *(_http_filters(value, port) if port.is_http else _tcp_filters(value, port)),
        ],
    )
    chain.transport_socket_connect_timeout.FromSeconds(10)
    if value.redirected:
        match = chain.filter_chain_match
        match.destination_port.CopyFrom(UInt32Value(value=port.port))
        match.transport_protocol = "tls"
        match.application_protocols.append(MESH_ALPN)
    return chain


def _add_ingress(listener: listener_pb2.Listener, value: InboundListener) -> None:
    """Chains for callers outside of the mesh.

    Envoy looks for the server name first, and does not turn back when it has found one. So the mesh's
    own chain stands under names that an ingress has, too.
    """
    mesh = {port.port: port for port in value.ports}
    for ingress in value.ingress:
        chain = ingress_chain(
            value.identity, ingress, value.tls, value.observation, redirected=True
        )
        listener.filter_chains.append(chain)
        if ingress.server_names and ingress.port in mesh:
            again = _chain(value, mesh[ingress.port])
            again.name += "_named"
            again.filter_chain_match.server_names.extend(ingress.server_names)
            listener.filter_chains.append(again)


def _http_filters(
    value: InboundListener, port: InboundPort
) -> list[listener_components_pb2.Filter]:
    context = _denials(value, port.port)
    return [
        http_connection_manager(
            stat_prefix=f"inbound_{port.port}",
            routes=inbound_routes(port.port),
            # The order counts: access rules look at the path that the filter before them keeps, and
            # what they refuse uses nothing up.
            filters=(
                *([health_check()] if value.health_checks else []),
                request_path(),
                http_rbac(),
                http_rate_limit(),
                external_authorization(),
                http_global_limit(),
            ),
            early_mutations=(internal_headers(),),
            access_logs=http_denial_logs(context),
            observation=value.observation,
            inbound=True,
            former_proxies=value.tls.former_proxies,
            local_replies=_local_replies(context),
        )
    ]


def _denials(value: InboundListener, port: int) -> DenialContext:
    return DenialContext(value.identity, port, value.tls.former_proxies)


def _local_replies(context: DenialContext) -> http_connection_manager_pb2.LocalReplyConfig:
    replies = denied_answer(context)
    replies.mappers.append(undelivered_answer())
    return replies


def _tcp_filters(value: InboundListener, port: InboundPort) -> list[listener_components_pb2.Filter]:
    proxy = inbound_tcp_proxy(value.observation, port.port, port.cluster)
    return [tcp_rbac(port.port), tcp_proxy(proxy)]
