"""How clusters reach beyond the mesh: by themselves, or by a gateway that is told where to."""

import pytest

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.extensions.transport_sockets.http_11_proxy.v3 import (
    upstream_http_11_connect_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from osm.core.envoy.way_out import lead_to_dialled_address, lead_to_host

Cluster = cluster_pb2.Cluster
GATEWAY = "/run/out.sock"


def to_host(host: str, gateway: str, *, tls: bool = False) -> cluster_pb2.Cluster:
    cluster = Cluster(name="c")
    if tls:
        cluster.transport_socket.name = "envoy.transport_sockets.tls"
    lead_to_host(cluster, host, 80, gateway)
    return cluster


def endpoint(cluster: cluster_pb2.Cluster) -> address_pb2.Address:
    assert cluster.load_assignment.cluster_name == "c"
    (place,) = cluster.load_assignment.endpoints
    return place.lb_endpoints[0].endpoint.address


@pytest.mark.parametrize(
    ("host", "kind"), [("x.test", Cluster.STRICT_DNS), ("203.0.113.9", Cluster.STATIC)]
)
def test_without_a_gateway_the_proxy_finds_its_way(
    host: str, kind: "cluster_pb2.Cluster.DiscoveryType"
) -> None:
    cluster = to_host(host, "")
    assert cluster.type == kind and not cluster.HasField("transport_socket")
    assert endpoint(cluster).socket_address.address == host
    assert endpoint(cluster).socket_address.port_value == 80


@pytest.mark.parametrize("tls", [False, True])
def test_a_gateway_is_told_the_host_and_carries_what_there_was(*, tls: bool) -> None:
    cluster = to_host("x.test", GATEWAY, tls=tls)
    assert cluster.type == Cluster.STATIC
    assert endpoint(cluster).pipe.path == "x.test:80"
    (packed,) = (
        cluster.load_assignment.endpoints[0].lb_endpoints[0].metadata.typed_filter_metadata.values()
    )
    assert address_pb2.Address.FromString(packed.value).pipe.path == GATEWAY
    assert cluster.transport_socket.name == "envoy.transport_sockets.http_11_proxy"
    outer = upstream_http_11_connect_pb2.Http11ProxyUpstreamTransport.FromString(
        cluster.transport_socket.typed_config.value
    )
    inner = "tls" if tls else "raw_buffer"
    assert outer.transport_socket.name == f"envoy.transport_sockets.{inner}"


def test_a_name_that_does_not_fit_is_refused_at_once_and_by_us() -> None:
    """Envoy would refuse the whole cluster."""
    longest = to_host("x" * 104, GATEWAY)
    assert len(endpoint(longest).pipe.path) == 107
    too_long = to_host("x" * 105, GATEWAY)
    assert too_long.type == Cluster.STATIC and not too_long.load_assignment.endpoints
    assert too_long.load_assignment.cluster_name == "c"


def test_what_was_dialled_is_said_by_a_header() -> None:
    directly, by_gateway = Cluster(name="c"), Cluster(name="c")
    lead_to_dialled_address(directly, "")
    lead_to_dialled_address(by_gateway, GATEWAY)
    assert directly.type == Cluster.ORIGINAL_DST
    assert directly.lb_policy == Cluster.CLUSTER_PROVIDED
    assert by_gateway.type == Cluster.STATIC and endpoint(by_gateway).pipe.path == GATEWAY
    outer = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport.FromString(
        by_gateway.transport_socket.typed_config.value
    )
    assert outer.config.version == outer.config.V2
