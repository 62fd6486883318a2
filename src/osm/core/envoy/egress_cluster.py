"""Clusters beyond the mesh.

A host that may be called with HTTP is looked up on the way (`<host>:<port>`). What is not HTTP, and
HTTP that may go to some addresses only, goes to the address that the application has connected to
(`<port>`). Mesh-wide egress has one cluster of that kind.
"""

import re

import msgspec
from google.protobuf.duration_pb2 import Duration

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm.core.envoy.cluster import (
    CONNECT_TIMEOUT,
    circuit_breakers,
    set_http_options,
)
from osm.core.envoy.duration import nanoseconds
from osm.core.envoy.way_out import GATEWAY_IDLE, lead_to_dialled_address, lead_to_host
from osm.core.model.egress import EgressLimits
from osm.core.model.upstream import ConnectionLimits


class HostCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """A host beyond the mesh. `gateway`: as `model.settings`."""

    name: str
    host: str
    port: int
    limits: EgressLimits = EgressLimits()
    gateway: str = ""


class OriginalCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """Wherever the application has connected to."""

    name: str
    limits: EgressLimits = EgressLimits()
    gateway: str = ""


def build_host_cluster(value: HostCluster) -> cluster_pb2.Cluster:
    """Build the cluster of a host."""
    cluster = cluster_pb2.Cluster(name=value.name, alt_stat_name=re.sub(r"[.:|]", "_", value.name))
    lead_to_host(cluster, value.host, value.port, value.gateway)
    _limit(cluster, value.limits.connections)
    return cluster


def build_original_cluster(value: OriginalCluster) -> cluster_pb2.Cluster:
    """Build a cluster of whatever addresses applications connect to."""
    cluster = cluster_pb2.Cluster(name=value.name)
    lead_to_dialled_address(cluster, value.gateway)
    _limit(cluster, value.limits.connections, GATEWAY_IDLE if value.gateway else None)
    return cluster


def _limit(
    cluster: cluster_pb2.Cluster, limits: ConnectionLimits, idle: Duration | None = None
) -> None:
    """Set limits. HTTP/1.1 or HTTP/2, as the application itself does: nobody says what the server speaks."""
    timeout, requests = limits.connect_timeout_ns, limits.requests_per_connection
    cluster.connect_timeout.CopyFrom(nanoseconds(timeout) if timeout else CONNECT_TIMEOUT)
    cluster.circuit_breakers.CopyFrom(circuit_breakers(limits))
    set_http_options(cluster, http2=None, requests=requests, idle=idle)
