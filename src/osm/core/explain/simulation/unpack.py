"""Messages inside of messages: what may be there, and how it is got out."""

from functools import lru_cache
from typing import TypeVar

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import extension_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.extensions.common.matching.v3 import extension_matcher_pb2
from osm._envoy.envoy.extensions.filters.http.composite.v3 import composite_pb2
from osm._envoy.envoy.extensions.filters.http.health_check.v3 import health_check_pb2
from osm._envoy.envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.http.set_filter_state.v3 import (
    set_filter_state_pb2 as http_state_pb2,
)
from osm._envoy.envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from osm._envoy.envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from osm._envoy.envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm._envoy.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2,
)
from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.ssl.v3 import ssl_inputs_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2 as input_ip_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.runtime_fraction.v3 import (
    runtime_fraction_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.http_11_proxy.v3 import (
    upstream_http_11_connect_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2,
)
from osm._envoy.envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm._envoy.envoy.type.matcher.v3 import http_inputs_pb2
from osm._envoy.xds.type.matcher.v3 import ip_pb2

M = TypeVar("M", bound=Message)
_PREFIX = "type.googleapis.com/"


def type_url(kind: type[Message]) -> str:
    """How a message's type is called on the wire."""
    return _PREFIX + kind.DESCRIPTOR.full_name


LISTENER = type_url(listener_pb2.Listener)
ROUTES = type_url(route_pb2.RouteConfiguration)
VIRTUAL_HOST = type_url(route_components_pb2.VirtualHost)
CLUSTER = type_url(cluster_pb2.Cluster)
ENDPOINTS = type_url(endpoint_pb2.ClusterLoadAssignment)
SECRET = type_url(secret_pb2.Secret)
EXTENSION = type_url(extension_pb2.TypedExtensionConfig)
RUNTIME = type_url(rtds_pb2.Runtime)

READ: dict[str, type[Message]] = {
    type_url(kind): kind
    for kind in (
        StringValue,
        original_dst_pb2.OriginalDst,
        proxy_protocol_pb2.ProxyProtocol,
        tls_inspector_pb2.TlsInspector,
        raw_buffer_pb2.RawBuffer,
        tls_pb2.UpstreamTlsContext,
        tls_pb2.DownstreamTlsContext,
        http_connection_manager_pb2.HttpConnectionManager,
        tcp_proxy_pb2.TcpProxy,
        network_rbac_pb2.RBAC,
        set_filter_state_pb2.Config,
        header_mutation_pb2.HeaderMutation,
        extension_matcher_pb2.ExtensionWithMatcher,
        extension_matcher_pb2.ExtensionWithMatcherPerRoute,
        composite_pb2.Composite,
        composite_pb2.ExecuteFilterAction,
        health_check_pb2.HealthCheck,
        upstream_http_11_connect_pb2.Http11ProxyUpstreamTransport,
        upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport,
        on_demand_pb2.OnDemand,
        http_rbac_pb2.RBAC,
        http_rbac_pb2.RBACPerRoute,
        http_state_pb2.Config,
        rbac_pb2.Action,
        network_inputs_pb2.DestinationIPInput,
        network_inputs_pb2.DestinationPortInput,
        network_inputs_pb2.SourceIPInput,
        network_inputs_pb2.ServerNameInput,
        network_inputs_pb2.TransportProtocolInput,
        network_inputs_pb2.FilterStateInput,
        ssl_inputs_pb2.UriSanInput,
        ssl_inputs_pb2.DnsSanInput,
        ssl_inputs_pb2.SubjectInput,
        http_inputs_pb2.HttpRequestHeaderMatchInput,
        ip_pb2.IPMatcher,
        input_ip_pb2.Ip,
        runtime_fraction_pb2.RuntimeFraction,
    )
}
INDIFFERENT = frozenset(
    _PREFIX + name
    for name in (
        "envoy.extensions.filters.http.router.v3.Router",
        # Limits count requests: a single one that nothing went before is within them.
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
        "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        "envoy.extensions.filters.network.ratelimit.v3.RateLimit",
        # What another program decides, no configuration tells.
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
    )
)


def unpacked(value: Any, kind: type[M]) -> M:
    """What is inside, which is of this kind."""
    found = _parsed(type_url(kind), value.value)
    assert isinstance(found, kind)
    return found


def is_a(value: Any, kind: type[Message]) -> bool:
    """Whether it is of this kind."""
    return value.type_url == type_url(kind)


@lru_cache(maxsize=4096)
def _parsed(url: str, data: bytes) -> Message:
    message = READ[url]()
    message.ParseFromString(data)
    return message
