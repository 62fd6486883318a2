"""Requests that never reached the application, tried elsewhere by the caller's proxy.

A pod that ends may be called for another moment, by callers who have not heard of it. Its proxy finds
nobody behind it any more, and says so in a header; then nothing was done, and another pod can do it,
whatever the request is. The header counts between two proxies only: neither lets one of an application
through, which would have a request repeated that was answered.
"""

from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

UNDELIVERED = "x-osm-undelivered"
_NOT_CONNECTED = "UF"
"""Envoy's flag of a request for which no connection could be made."""
_RETRIES = 4
"""With the waits between them a quarter of a second on average: longer than callers take to hear of pods
that end, should all tries before meet such pods.
"""
_PICKS = 5
"""How often a host is picked anew that had this request already."""


def undelivered_answer() -> http_connection_manager_pb2.ResponseMapper:
    """Of the proxy beside the application: it says that there was nobody."""
    only = accesslog_pb2.AccessLogFilter()
    only.response_flag_filter.flags.append(_NOT_CONNECTED)
    header = base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=UNDELIVERED, value="no-connection"),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return http_connection_manager_pb2.ResponseMapper(filter=only, headers_to_add=[header])


def safe_retries() -> route_components_pb2.RetryPolicy:
    """Of the caller's proxy: try again what can have done nothing yet, and with another host if there
    is one.
    """
    policy = route_components_pb2.RetryPolicy(
        retry_on="connect-failure,refused-stream,reset-before-request,retriable-headers",
        num_retries=UInt32Value(value=_RETRIES),
        host_selection_retry_max_attempts=_PICKS,
    )
    policy.retriable_headers.add(name=UNDELIVERED, present_match=True)
    predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    predicate.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate(), deterministic=True)
    return policy
