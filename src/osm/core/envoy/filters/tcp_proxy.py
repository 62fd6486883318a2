"""Carries TCP of the application to a cluster, and counts it."""

from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm.core.envoy.filters.extension import network_filter
from osm.core.envoy.filters.traffic_metrics import SourceLabels, tcp_traffic_metrics


def outbound_tcp_proxy(source: SourceLabels) -> tcp_proxy_pb2.TcpProxy:
    """Begin a TCP proxy; where to is yet to be said."""
    return tcp_proxy_pb2.TcpProxy(
        stat_prefix="outbound_tcp",
        access_log=tcp_traffic_metrics(source),
        access_log_options=tcp_proxy_pb2.TcpProxy.TcpAccessLogOptions(
            flush_access_log_on_connected=True
        ),
        max_connect_attempts=UInt32Value(value=3),
    )


def tcp_proxy(value: tcp_proxy_pb2.TcpProxy) -> listener_components_pb2.Filter:
    """The filter of a TCP proxy."""
    return network_filter("envoy.filters.network.tcp_proxy", value)
