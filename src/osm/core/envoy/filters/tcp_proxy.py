"""Carries TCP to a cluster, and tells of it."""

from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm.core.envoy.filters.access_log import connection_logs
from osm.core.envoy.filters.extension import network_filter
from osm.core.envoy.filters.traffic_metrics import tcp_traffic_metrics
from osm.core.envoy.observation import Observation


def outbound_tcp_proxy(observation: Observation) -> tcp_proxy_pb2.TcpProxy:
    """Begin the TCP proxy of what the application sends; where to is yet to be said."""
    return tcp_proxy_pb2.TcpProxy(
        stat_prefix="outbound_tcp",
        access_log=[*tcp_traffic_metrics(observation.who), *connection_logs(observation)],
        access_log_options=tcp_proxy_pb2.TcpProxy.TcpAccessLogOptions(
            flush_access_log_on_connected=True
        ),
        max_connect_attempts=UInt32Value(value=3),
    )


def inbound_tcp_proxy(observation: Observation, port: int, cluster: str) -> tcp_proxy_pb2.TcpProxy:
    """The TCP proxy of what the application gets."""
    return tcp_proxy_pb2.TcpProxy(
        stat_prefix=f"inbound_tcp_{port}", cluster=cluster, access_log=connection_logs(observation)
    )


def tcp_proxy(value: tcp_proxy_pb2.TcpProxy) -> listener_components_pb2.Filter:
    """The filter of a TCP proxy."""
    return network_filter("envoy.filters.network.tcp_proxy", value)
