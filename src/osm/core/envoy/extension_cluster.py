"""Clusters of servers that proxies themselves ask or tell something (`model.extension`).

They are pushed with the listeners that name them, and never asked for on demand.
"""

import re

import msgspec

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm.core.envoy.cluster import CONNECT_TIMEOUT, set_http_options
from osm.core.envoy.duration import nanoseconds
from osm.core.envoy.way_out import lead_to_host
from osm.core.model.directory import Directory
from osm.core.model.extension import ExtensionServer
from osm.core.model.recorded import AnyModel

PREFIX = "extension|"
_NAME = re.compile(r"extension\|([^|]+)\|([0-9]{1,5})\|(h1|h2)\|([0-9]{1,19})")


class ExtensionCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """A server beyond the mesh, called in plaintext. `gateway`: as `model.settings`."""

    name: str
    server: ExtensionServer
    gateway: str = ""


def extension_cluster_name(model: AnyModel, server: ExtensionServer) -> str:
    """The cluster of a server: that of the service port which it is, or one of its own."""
    port = Directory(model).by_authority(f"{server.host}:{server.port}", 0, "")
    if port is not None and port.protocol.is_http:
        return port.cluster_name
    version = "h2" if server.http2 else "h1"
    return f"{PREFIX}{server.host}|{server.port}|{version}|{server.connect_timeout_ns}"


def extension_cluster(name: str, gateway: str) -> ExtensionCluster | None:
    """The cluster behind a name that `extension_cluster_name` gave."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    host, port, version, timeout = found.groups()
    server = ExtensionServer(
        host, int(port), http2=version == "h2", connect_timeout_ns=int(timeout)
    )
    return ExtensionCluster(name, server, gateway)


def build_extension_cluster(value: ExtensionCluster) -> cluster_pb2.Cluster:
    """Build the cluster: looked up on the way when it has a name."""
    server = value.server
    cluster = cluster_pb2.Cluster(
        name=value.name,
        alt_stat_name=f"extension_{server.host}_{server.port}".replace(".", "_"),
        connect_timeout=nanoseconds(server.connect_timeout_ns)
        if server.connect_timeout_ns
        else CONNECT_TIMEOUT,
    )
    lead_to_host(cluster, server.host, server.port, value.gateway)
    set_http_options(cluster, http2=server.http2)
    return cluster
