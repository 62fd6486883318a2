"""How a cluster reaches beyond the mesh on this platform: the one place that knows.

Most proxies have a way of their own, and look names up themselves. Those of local pods in namespaces
have none: they hand their connections to a gateway, by a unix socket that only they can see, and say
first where to: `CONNECT <host>:<port>` for a host, which the gateway looks up, and a PROXY header
(version 2) for the address that the application has dialled. (With a PROXY header alone, clients
inside of Envoy could not say where to: they have no downstream connection.)
"""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm._envoy.envoy.extensions.transport_sockets.http_11_proxy.v3 import (
    upstream_http_11_connect_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from osm.core.envoy.address import envoy_address
from osm.core.model.workload import Address, PipeAddress, SocketAddress

GATEWAY_IDLE = Duration(seconds=60)
"""A connection through the gateway to a dialled address serves one connection of the application, and
Envoy does not notice when that is gone."""

LONGEST_PATH = 107
"""Bytes that fit into the address of a unix socket (unix(7)), which is how a host travels."""

_GATEWAY_KEY = "envoy.http11_proxy_transport_socket.proxy_address"


def lead_to_host(cluster: cluster_pb2.Cluster, host: str, port: int, gateway: str) -> None:
    """Let a cluster lead to a host. Its transport socket, if it has one, must have been set before."""
    if gateway and len(f"{host}:{port}") > LONGEST_PATH:
        cluster.type = cluster_pb2.Cluster.STATIC  # without endpoints it refuses at once
        cluster.load_assignment.cluster_name = cluster.name
        return
    if gateway:
        # What Envoy writes after CONNECT is the endpoint's address, of whatever kind.
        endpoint = _endpoint(PipeAddress(f"{host}:{port}"))
        key = Any()
        key.Pack(envoy_address(PipeAddress(gateway)), deterministic=True)
        endpoint.metadata.typed_filter_metadata[_GATEWAY_KEY].CopyFrom(key)
        outer = upstream_http_11_connect_pb2.Http11ProxyUpstreamTransport(
            transport_socket=_inner(cluster)
        )
        cluster.transport_socket.name = "envoy.transport_sockets.http_11_proxy"
        cluster.transport_socket.typed_config.Pack(outer, deterministic=True)
        cluster.type = cluster_pb2.Cluster.STATIC
    else:
        endpoint = _endpoint(SocketAddress(host, port))
        is_address = host.replace(".", "").isdecimal()
        cluster.type = cluster_pb2.Cluster.STATIC if is_address else cluster_pb2.Cluster.STRICT_DNS
        cluster.dns_lookup_family = cluster_pb2.Cluster.V4_ONLY
    _assign(cluster, endpoint)


def lead_to_dialled_address(cluster: cluster_pb2.Cluster, gateway: str) -> None:
    """Let a cluster lead to wherever the application has connected to."""
    if not gateway:
        cluster.type = cluster_pb2.Cluster.ORIGINAL_DST
        cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
        return
    outer = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        config=proxy_protocol_pb2.ProxyProtocolConfig(
            version=proxy_protocol_pb2.ProxyProtocolConfig.V2
        ),
        transport_socket=_inner(cluster),
    )
    cluster.transport_socket.name = "envoy.transport_sockets.upstream_proxy_protocol"
    cluster.transport_socket.typed_config.Pack(outer, deterministic=True)
    cluster.type = cluster_pb2.Cluster.STATIC
    _assign(cluster, _endpoint(PipeAddress(gateway)))


def _endpoint(address: Address) -> endpoint_components_pb2.LbEndpoint:
    return endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=envoy_address(address))
    )


def _assign(cluster: cluster_pb2.Cluster, endpoint: endpoint_components_pb2.LbEndpoint) -> None:
    places = [endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])]
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=cluster.name, endpoints=places)
    cluster.load_assignment.CopyFrom(assignment)


def _inner(cluster: cluster_pb2.Cluster) -> base_pb2.TransportSocket:
    if cluster.HasField("transport_socket"):
        inner = base_pb2.TransportSocket()
        inner.CopyFrom(cluster.transport_socket)
        return inner
    inner = base_pb2.TransportSocket(name="envoy.transport_sockets.raw_buffer")
    inner.typed_config.Pack(raw_buffer_pb2.RawBuffer(), deterministic=True)
    return inner
