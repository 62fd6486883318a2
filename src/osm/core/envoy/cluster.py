"""Clusters: services of the mesh, and the application beside the proxy."""

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2, protocol_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm._envoy.envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.duration import nanoseconds
from osm.core.envoy.filters.health_check import add_health_checks
from osm.core.envoy.names import MESH_ALPN, METADATA
from osm.core.envoy.tls import TlsSettings, ads_source, upstream_tls
from osm.core.model.identity import Identity
from osm.core.model.origin import Origin
from osm.core.model.service import Protocol
from osm.core.model.upstream import ConnectionLimits
from osm.core.model.workload import SocketAddress

CONNECT_TIMEOUT = Duration(seconds=5)
# A connection keeps the certificate that it began with: its age bounds how long an old one serves.
MAXIMUM_CONNECTION_AGE = Duration(seconds=3600)
NOWHERE = "nowhere"
"""What stats call all addresses that the mesh does not know, so that a scan makes no new series."""
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class ServiceCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """A service port as clients reach it. Its endpoints have its name."""

    name: str
    stat_name: str
    protocol: Protocol
    sni: str
    identities: tuple[Identity, ...]
    tls: TlsSettings
    namespace: str
    service: str
    limits: ConnectionLimits = ConnectionLimits()
    origin: Origin | None = None
    """Of the limits."""
    health_checks: bool = False
    """Whether the proxies behind it are checked; only those of HTTP ports answer."""


class NowhereCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """A cluster for an address that the mesh does not know: without endpoints it refuses at once.

    With no cluster at all Envoy, which stays subscribed to the name, would let every connection but
    the first wait for the time limit of on-demand discovery (measured with Envoy 1.40).
    """

    name: str


class LocalCluster(msgspec.Struct, frozen=True, order=True, gc=False):
    """The application that the proxy serves."""

    name: str
    address: SocketAddress
    http2: bool
    source: str = ""
    """Where its connections come from, if that is not left to the system."""


def build_service_cluster(value: ServiceCluster) -> cluster_pb2.Cluster:
    """HTTP/2 over mutual TLS whatever the application speaks; TCP inside of mutual TLS otherwise.

    A proxy of OSM's speaks to its application what it is spoken to. So while there are any, proxies speak
    to each other what the caller does, and negotiate nothing.
    """
    is_http, former = value.protocol.is_http, value.tls.former_proxies
    cluster = cluster_pb2.Cluster(
        name=value.name,
        alt_stat_name=value.stat_name if value.stat_name != value.name else "",
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=ads_source()),
        connect_timeout=nanoseconds(value.limits.connect_timeout_ns)
        if value.limits.connect_timeout_ns
        else CONNECT_TIMEOUT,
        circuit_breakers=circuit_breakers(value.limits),
        metadata=_labels(value),
        transport_socket=upstream_tls(
            value.tls,
            sni=value.sni,
            identities=value.identities,
            alpn=(MESH_ALPN, "h2") if is_http and not former else (MESH_ALPN,),
        ),
    )
    if is_http:
        requests = value.limits.requests_per_connection
        set_http_options(cluster, http2=None if former else True, requests=requests)
        if value.health_checks:
            add_health_checks(cluster, value.sni)
    return cluster


def _labels(value: ServiceCluster) -> base_pb2.Metadata:
    """What metrics say of a request that no endpoint took."""
    labels = {"namespace": value.namespace, "kind": "Service", "name": value.service, "pod": ""}
    fields = {name: Value(string_value=text) for name, text in labels.items()}
    return base_pb2.Metadata(filter_metadata={METADATA: Struct(fields=fields)})


def build_nowhere_cluster(value: NowhereCluster) -> cluster_pb2.Cluster:
    """Build a cluster that refuses at once."""
    return cluster_pb2.Cluster(
        name=value.name,
        alt_stat_name=NOWHERE,
        type=cluster_pb2.Cluster.STATIC,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(cluster_name=value.name),
    )


def build_local_cluster(value: LocalCluster) -> cluster_pb2.Cluster:
    """Build the cluster of the application beside the proxy, reached in plaintext."""
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=envoy_address(value.address))
    )
    cluster = cluster_pb2.Cluster(
        name=value.name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=CONNECT_TIMEOUT,
        circuit_breakers=_no_limits(),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=value.name,
            endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])],
        ),
    )
    if value.source:
        cluster.upstream_bind_config.source_address.address = value.source
        cluster.upstream_bind_config.source_address.port_value = 0
    set_http_options(cluster, http2=value.http2)
    return cluster


def set_http_options(
    cluster: cluster_pb2.Cluster,
    *,
    http2: bool | None,
    requests: int = 0,
    idle: Duration | None = None,
) -> None:
    """`http2`: None is what the caller speaks. `requests`: how many one connection takes; 0: no limit.
    `idle`: when a connection that is not used goes; without it Envoy's default.
    """
    options = http_protocol_options_pb2.HttpProtocolOptions(
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            idle_timeout=idle,
            max_connection_duration=MAXIMUM_CONNECTION_AGE,
            max_requests_per_connection=UInt32Value(value=requests) if requests else None,
        )
    )
    if http2 is None:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    elif http2:
        # Upgrades (WebSocket) cross HTTP/2 as extended CONNECT (RFC 8441).
        options.explicit_http_config.http2_protocol_options.allow_connect = True
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].Pack(options, deterministic=True)


def _no_limits() -> circuit_breaker_pb2.CircuitBreakers:
    """OSM's defaults: nothing breaks a circuit unless an UpstreamTrafficSetting says so."""
    return circuit_breakers(ConnectionLimits())


def circuit_breakers(limits: ConnectionLimits) -> circuit_breaker_pb2.CircuitBreakers:
    """What one proxy does at most; what is above fails at once."""
    return circuit_breaker_pb2.CircuitBreakers(
        thresholds=[
            circuit_breaker_pb2.CircuitBreakers.Thresholds(
                max_connections=UInt32Value(value=limits.connections),
                max_pending_requests=UInt32Value(value=limits.pending_requests),
                max_requests=UInt32Value(value=limits.requests),
                max_retries=UInt32Value(value=limits.retries),
                track_remaining=True,
            )
        ]
    )
