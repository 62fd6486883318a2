"""Clusters beyond the mesh.

A host that may be called with HTTP is looked up by the proxy (`<host>:<port>`, STRICT_DNS). What is
not HTTP, and HTTP that may go to some addresses only, goes to the address that the application has
connected to (`<port>`, ORIGINAL_DST). Mesh-wide egress has one cluster of that kind.
"""

import re

import msgspec
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import protocol_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm._envoy.envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.cluster import (
    CONNECT_TIMEOUT,
    HTTP_OPTIONS,
    MAXIMUM_CONNECTION_AGE,
    circuit_breakers,
)
from osm.core.envoy.duration import nanoseconds
from osm.core.model.egress import EgressLimits
from osm.core.model.upstream import ConnectionLimits
from osm.core.model.workload import SocketAddress


class HostCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """A host beyond the mesh, looked up by the proxy."""

    name: str
    host: str
    port: int
    limits: EgressLimits = EgressLimits()


class OriginalCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """Wherever the application has connected to."""

    name: str
    limits: EgressLimits = EgressLimits()


def build_host_cluster(value: HostCluster) -> cluster_pb2.Cluster:
    """Build the cluster of a host that the proxy looks up."""
    address = envoy_address(SocketAddress(value.host, value.port))
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address)
    )
    cluster = cluster_pb2.Cluster(
        name=value.name,
        alt_stat_name=re.sub(r"[.:|]", "_", value.name),
        type=cluster_pb2.Cluster.STRICT_DNS,
        dns_lookup_family=cluster_pb2.Cluster.V4_ONLY,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=value.name,
            endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])],
        ),
    )
    _limit(cluster, value.limits.connections)
    return cluster


def build_original_cluster(value: OriginalCluster) -> cluster_pb2.Cluster:
    """Build a cluster of whatever addresses applications connect to."""
    cluster = cluster_pb2.Cluster(
        name=value.name,
        type=cluster_pb2.Cluster.ORIGINAL_DST,
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
    )
    _limit(cluster, value.limits.connections)
    return cluster


def _limit(cluster: cluster_pb2.Cluster, limits: ConnectionLimits) -> None:
    """Set limits. HTTP/1.1 or HTTP/2, as the application itself does: nobody says what the server speaks."""
    timeout, requests = limits.connect_timeout_ns, limits.requests_per_connection
    cluster.connect_timeout.CopyFrom(nanoseconds(timeout) if timeout else CONNECT_TIMEOUT)
    cluster.circuit_breakers.CopyFrom(circuit_breakers(limits))
    options = http_protocol_options_pb2.HttpProtocolOptions(
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            max_connection_duration=MAXIMUM_CONNECTION_AGE,
            max_requests_per_connection=UInt32Value(value=requests) if requests else None,
        )
    )
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options, deterministic=True)
