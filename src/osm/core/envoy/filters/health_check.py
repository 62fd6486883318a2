"""Answers the health checks of other proxies, before any access rule (`reference/osm.md` §7.10).

They ask whether a proxy is there, not its application, whose readiness the platform knows.
"""

from google.protobuf.wrappers_pb2 import BoolValue

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2, health_check_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.http.health_check.v3 import (
    health_check_pb2 as filter_pb2,
)
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import string_pb2
from osm._envoy.envoy.type.v3 import http_pb2
from osm.core.envoy.filters.extension import http_filter

HEADER = "x-osm-envoy-healthcheck"
PATH = "/healthz/osm"


def health_check() -> http_connection_manager_pb2.HttpFilter:
    """Answer checks; the application sees none of them."""
    config = filter_pb2.HealthCheck(
        pass_through_mode=BoolValue(value=False),
        # OSM's header is gone here: no header of ours is believed (`internal_headers`).
        headers=[_header(":path", PATH), _header("user-agent", "Envoy/HC")],
    )
    return http_filter("envoy.filters.http.health_check", config)


def add_health_checks(cluster: cluster_pb2.Cluster, host: str) -> None:
    """Check the proxies behind a cluster: every 10 s, out after three failures, in after one success."""
    check = health_check_pb2.HealthCheck(
        http_health_check=health_check_pb2.HealthCheck.HttpHealthCheck(
            host=host,
            path=PATH,
            codec_client_type=http_pb2.HTTP2,
            request_headers_to_add=[
                base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=HEADER, value="1"))
            ],
        )
    )
    check.timeout.FromSeconds(1)
    check.interval.FromSeconds(10)
    check.no_traffic_interval.FromSeconds(10)
    check.unhealthy_threshold.value = 3
    check.healthy_threshold.value = 1
    cluster.health_checks.append(check)


def _header(name: str, value: str) -> route_components_pb2.HeaderMatcher:
    return route_components_pb2.HeaderMatcher(
        name=name, string_match=string_pb2.StringMatcher(exact=value)
    )
