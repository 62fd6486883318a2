"""Where the kubelet asks the proxy of a pod: listeners that the bootstrap brings, and what they lead to.

They are there before the control plane has said anything, and Envoy accepts on none of them until its
first configuration is complete (measured with Envoy 1.40: connections are refused): that, and nothing
else, is what `READY_PATH` tells. It is answered by a filter and not by the admin interface, which listens
on loopback only and is not reached there with `localProxyMode: PodIP` (`core.inject.redirection`).

Whoever reaches the pod reaches these ports. So each answers exact requests only, passes on what was
written in the pod's probes and nothing of its caller's but headers, and holds few connections, each for
a short time. The application sees the kubelet's request: on a connection of its own, with its headers,
without ours. It is called at 127.0.0.1, which redirection leads to the pod's address where that is asked for.
"""

from collections.abc import Iterator, Mapping

import msgspec
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from osm._envoy.envoy.config.bootstrap.v3 import bootstrap_pb2
from osm._envoy.envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from osm._envoy.envoy.config.core.v3 import health_check_pb2, protocol_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.extensions.filters.http.health_check.v3 import (
    health_check_pb2 as filter_pb2,
)
from osm._envoy.envoy.extensions.filters.http.router.v3 import router_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from osm._envoy.envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from osm._envoy.envoy.type.matcher.v3 import string_pb2
from osm.core.envoy.address import envoy_address
from osm.core.envoy.cluster import HTTP_OPTIONS
from osm.core.envoy.filters.extension import http_filter, network_filter
from osm.core.model.probe import (
    HEALTH_PORT,
    READY_PATH,
    TCP_HEADER,
    TCP_PATH,
    HttpProbe,
    ProbeKind,
    Probes,
    TcpProbe,
)
from osm.core.model.workload import SocketAddress

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 the kubelet calls at the pod's address, which nobody knows yet
EVERY_ADDRESS = "::"

_STATS = "probes"
"""What all of them are in stats, so that a pod with many probes has no more series than others."""
_CONNECTIONS = 256
"""Of one listener. The kubelet has one for each probe, for as long as it lasts."""
_REQUESTS = 32
"""Of one port of the application at the same time."""
_HEALTH_LISTENER = "health_listener"
_APPLICATION = "127.0.0.1"
_RETRY_CLOSED = Duration(seconds=1)

Manager = http_connection_manager_pb2.HttpConnectionManager


class ProbeListeners(msgspec.Struct, frozen=True, gc=False):
    """A pod's probes, and where its proxy is asked."""

    probes: Probes = Probes()
    address: str = EVERY_IPV4
    """`EVERY_ADDRESS` where pods have IPv6 addresses: it serves both families, but Envoy does not start
    with it on a host whose kernel has no IPv6.
    """


def add_probes(resources: bootstrap_pb2.Bootstrap.StaticResources, value: ProbeListeners) -> None:
    """Add listeners for these probes, and for the proxy's own, to the resources of a bootstrap."""
    probes = value.probes
    for kind in sorted({probe.kind for probe in probes.http}, key=lambda kind: kind.port):
        asked = [probe for probe in probes.http if probe.kind is kind]
        manager = _manager(tuple(_routes(asked)))
        resources.listeners.append(_listener(_name(kind), kind.port, value.address, manager))
    health = _manager((), tuple(_health_filters(probes.tcp)))
    resources.listeners.append(_listener(_HEALTH_LISTENER, HEALTH_PORT, value.address, health))
    applications = sorted({(probe.port, probe.tls) for probe in probes.http})
    resources.clusters.extend(_http_cluster(port, tls=tls) for port, tls in applications)
    resources.clusters.extend(_tcp_cluster(probe) for probe in probes.tcp)


def connection_limits(value: ProbeListeners) -> Mapping[str, int]:
    """How many connections each listener takes, as keys of Envoy's runtime."""
    names = (*(_name(kind) for kind in ProbeKind), _HEALTH_LISTENER)
    used = {_name(probe.kind) for probe in value.probes.http} | {_HEALTH_LISTENER}
    return {
        f"envoy.resource_limits.listener.{name}.connection_limit": _CONNECTIONS
        for name in names
        if name in used
    }


def _name(kind: ProbeKind) -> str:
    return f"{kind}_listener"


def _listener(name: str, port: int, address: str, manager: Manager) -> listener_pb2.Listener:
    listener = listener_pb2.Listener(
        name=name,
        stat_prefix=_STATS,
        address=envoy_address(SocketAddress(address, port)),
        # What floods the application's ports must not end its probes.
        ignore_global_conn_limit=True,
        per_connection_buffer_limit_bytes=UInt32Value(value=16 * 1024),
        filter_chains=[
            listener_components_pb2.FilterChain(
                filters=[network_filter("envoy.filters.network.http_connection_manager", manager)]
            )
        ],
    )
    if address == EVERY_ADDRESS:
        listener.address.socket_address.ipv4_compat = True
    return listener


def _manager(
    routes: tuple[route_components_pb2.Route, ...],
    filters: tuple[http_connection_manager_pb2.HttpFilter, ...] = (),
) -> Manager:
    router = router_pb2.Router(suppress_envoy_headers=True, dynamic_stats=BoolValue(value=False))
    manager = Manager(
        stat_prefix=_STATS,
        route_config=route_pb2.RouteConfiguration(
            # The application would be told that TLS is missing, where it itself is asked by TLS.
            request_headers_to_remove=["x-forwarded-proto"],
            virtual_hosts=[
                route_components_pb2.VirtualHost(name=_STATS, domains=["*"], routes=routes)
            ],
        ),
        http_filters=[*filters, http_filter("envoy.filters.http.router", router)],
        generate_request_id=BoolValue(value=False),
        server_header_transformation=Manager.PASS_THROUGH,
        # What holds the start of applications on old clusters speaks it (`core.inject.sidecar`).
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(
            accept_http_10=True, default_host_for_http_10="localhost"
        ),
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            idle_timeout=Duration(seconds=5)
        ),
        request_headers_timeout=Duration(seconds=5),
    )
    manager.http2_protocol_options.max_concurrent_streams.value = 16
    return manager


def _routes(probes: list[HttpProbe]) -> Iterator[route_components_pb2.Route]:
    """Exactly what the kubelet asks for: by GET, and without a query, which would get past ours."""
    yield _refused(_header(":method", string_pb2.StringMatcher(exact="GET"), invert=True))
    yield _refused(_header(":path", string_pb2.StringMatcher(contains="?")))
    for probe in probes:
        yield route_components_pb2.Route(
            match=route_components_pb2.RouteMatch(path=probe.asked_path),
            route=route_components_pb2.RouteAction(
                cluster=_http_name(probe.port, tls=probe.tls),
                prefix_rewrite=probe.path,
                timeout=Duration(seconds=probe.timeout_s),
            ),
        )


def _refused(header: route_components_pb2.HeaderMatcher) -> route_components_pb2.Route:
    return route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/", headers=[header]),
        direct_response=route_components_pb2.DirectResponseAction(status=404),
    )


def _health_filters(
    probes: tuple[TcpProbe, ...],
) -> Iterator[http_connection_manager_pb2.HttpFilter]:
    """The first that fits answers. A proxy that is about to end is not ready."""
    yield _answer({":path": READY_PATH})
    for probe in probes:
        headers = {":path": TCP_PATH, TCP_HEADER.lower(): str(probe.port)}
        yield _answer(headers, only_with=_tcp_name(probe.port))


def _answer(
    headers: Mapping[str, str], *, only_with: str = ""
) -> http_connection_manager_pb2.HttpFilter:
    """200 to what has these headers; with a cluster, only while that is healthy."""
    config = filter_pb2.HealthCheck(
        pass_through_mode=BoolValue(value=False),
        headers=[
            _header(name, string_pb2.StringMatcher(exact=text)) for name, text in headers.items()
        ],
    )
    if only_with:
        config.cluster_min_healthy_percentages[only_with].value = 100
    return http_filter("envoy.filters.http.health_check", config)


def _header(
    name: str, text: string_pb2.StringMatcher, *, invert: bool = False
) -> route_components_pb2.HeaderMatcher:
    return route_components_pb2.HeaderMatcher(name=name, string_match=text, invert_match=invert)


def _http_name(port: int, *, tls: bool) -> str:
    return f"probe|{port}|{'https' if tls else 'http'}"


def _tcp_name(port: int) -> str:
    return f"probe|{port}|tcp"


def _http_cluster(port: int, *, tls: bool) -> cluster_pb2.Cluster:
    """The application as the kubelet would reach it: a connection for each request."""
    cluster = _cluster(_http_name(port, tls=tls), port, timeout_s=1)
    cluster.alt_stat_name = _STATS
    cluster.circuit_breakers.thresholds.append(
        circuit_breaker_pb2.CircuitBreakers.Thresholds(
            max_connections=UInt32Value(value=_REQUESTS),
            max_pending_requests=UInt32Value(value=_REQUESTS),
            max_requests=UInt32Value(value=_REQUESTS),
        )
    )
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.common_http_protocol_options.max_requests_per_connection.value = 1
    options.explicit_http_config.http_protocol_options.SetInParent()
    _pack(cluster.typed_extension_protocol_options[HTTP_OPTIONS], options)
    if tls:
        # Its certificate is not looked at, as the kubelet would not.
        common = tls_pb2.CommonTlsContext(
            alpn_protocols=["http/1.1"],
            tls_params=common_pb2.TlsParameters(
                tls_minimum_protocol_version=common_pb2.TlsParameters.TLSv1_2,
                tls_maximum_protocol_version=common_pb2.TlsParameters.TLSv1_3,
            ),
        )
        cluster.transport_socket.name = "envoy.transport_sockets.tls"
        _pack(
            cluster.transport_socket.typed_config,
            tls_pb2.UpstreamTlsContext(common_tls_context=common),
        )
    return cluster


def _tcp_cluster(probe: TcpProbe) -> cluster_pb2.Cluster:
    """Never called, only looked at. Its stats are its own: the filter reads them."""
    cluster = _cluster(_tcp_name(probe.port), probe.port, timeout_s=probe.timeout_s)
    period = Duration(seconds=probe.period_s)
    cluster.health_checks.append(
        health_check_pb2.HealthCheck(
            timeout=Duration(seconds=probe.timeout_s),
            interval=period,
            no_traffic_healthy_interval=period,
            unhealthy_interval=_RETRY_CLOSED,
            no_traffic_interval=_RETRY_CLOSED,
            # How many failures are too many is the kubelet's to count.
            healthy_threshold=UInt32Value(value=1),
            unhealthy_threshold=UInt32Value(value=1),
            reuse_connection=BoolValue(value=False),
            tcp_health_check=health_check_pb2.HealthCheck.TcpHealthCheck(),
        )
    )
    # The application starts after its proxy: that it does not answer yet must hold nothing up.
    cluster.wait_for_warm_on_init.value = False
    return cluster


def _cluster(name: str, port: int, *, timeout_s: int) -> cluster_pb2.Cluster:
    endpoint = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(
            address=envoy_address(SocketAddress(_APPLICATION, port))
        )
    )
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=Duration(seconds=timeout_s),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])],
        ),
    )


def _pack(into: any_pb2.Any, message: Message) -> None:
    into.Pack(message, deterministic=True)
