"""Asks the control plane for a service when an application first uses it."""

from google.protobuf.duration_pb2 import Duration

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from osm._envoy.envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm.core.envoy.filters.extension import http_filter, network_filter, text_format
from osm.core.envoy.tls import ads_source

TIMEOUT = Duration(seconds=5)
"""With the control plane away a first request must fail soon and not hang. For clusters Envoy has a
setting; a request that waits for a virtual host has no route yet, and so is under the connection
manager's time limit for idle streams, which our routes lift."""


def http_on_demand() -> http_connection_manager_pb2.HttpFilter:
    """Ask for virtual hosts and clusters that a request needs and that are not there."""
    discovery = on_demand_pb2.OnDemandCds(source=ads_source(), timeout=TIMEOUT)
    return http_filter("envoy.filters.http.on_demand", on_demand_pb2.OnDemand(odcds=discovery))


def tcp_on_demand() -> tcp_proxy_pb2.TcpProxy.OnDemand:
    """Ask for the cluster that a TCP connection needs."""
    return tcp_proxy_pb2.TcpProxy.OnDemand(odcds_config=ads_source(), timeout=TIMEOUT)


def cluster_by_destination() -> listener_components_pb2.Filter:
    """A TCP connection's cluster is named by the address that the application connected to."""
    value = value_pb2.FilterStateValue(
        object_key="envoy.tcp_proxy.cluster",
        format_string=text_format("%DOWNSTREAM_LOCAL_ADDRESS%"),
    )
    return network_filter(
        "envoy.filters.network.set_filter_state",
        set_filter_state_pb2.Config(on_new_connection=[value]),
    )
