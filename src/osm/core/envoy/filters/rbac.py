"""Enforces access. The HTTP filter is empty: its rules come with the routes. The TCP filter's come as
an extension configuration, and until they are there no connection is served.
"""

from osm._envoy.envoy.config.core.v3 import config_source_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.filters.extension import http_filter
from osm.core.envoy.names import tcp_access
from osm.core.envoy.route import RBAC_FILTER
from osm.core.envoy.tls import ads_source

NETWORK_RBAC = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"


def http_rbac() -> http_connection_manager_pb2.HttpFilter:
    """Enforce the access rules that the route configuration carries."""
    return http_filter(RBAC_FILTER, rbac_pb2.RBAC())


def tcp_rbac(port: int) -> listener_components_pb2.Filter:
    """Enforce the access rules that come for this port as an extension configuration."""
    return listener_components_pb2.Filter(
        name=tcp_access(port),
        config_discovery=config_source_pb2.ExtensionConfigSource(
            config_source=ads_source(), type_urls=[NETWORK_RBAC]
        ),
    )
