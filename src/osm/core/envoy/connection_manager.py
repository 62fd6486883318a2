"""The HTTP connection manager, with the limits and the hygiene that every listener of ours has.

Paths are normalised before any rule looks at them (`reference/reliability-security.md` D9: without
it seven of seven traversal spellings pass a path rule, with it none).
"""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import extension_pb2, protocol_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2
from osm._envoy.envoy.extensions.filters.http.router.v3 import router_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.filters.access_log import request_logs
from osm.core.envoy.filters.extension import http_filter, network_filter
from osm.core.envoy.filters.tracing import tracing
from osm.core.envoy.former import told_caller
from osm.core.envoy.observation import NOTHING, Observation
from osm.core.envoy.tls import ads_source

MORE_THAN_FIT = 2**31
"""Addresses in a header."""

Manager = http_connection_manager_pb2.HttpConnectionManager
HttpFilter = http_connection_manager_pb2.HttpFilter


def http_connection_manager(  # noqa: PLR0913 - all by name
    *,
    stat_prefix: str,
    routes: str,
    filters: tuple[HttpFilter, ...],
    access_logs: list[accesslog_pb2.AccessLog],
    inbound: bool,
    observation: Observation = NOTHING,
    from_outside: bool = False,
    local_replies: http_connection_manager_pb2.LocalReplyConfig | None = None,
    early_mutations: tuple[extension_pb2.TypedExtensionConfig, ...] = (),
    stream_idle_timeout: Duration | None = None,
    former_proxies: bool = False,
) -> listener_components_pb2.Filter:
    """`routes` names the route configuration. `access_logs` are those of our own, before the ones that
    people have asked for (`observation`). `early_mutations` change headers before anything else
    looks at them; `filters` go before the router, in this order. `from_outside`: the caller is no
    proxy of the mesh, and nothing that it says of itself is believed. `former_proxies`: as in
    `Settings`.
    """
    manager = Manager(
        stat_prefix=stat_prefix,
        rds=http_connection_manager_pb2.Rds(config_source=ads_source(), route_config_name=routes),
        http_filters=[
            *filters,
            http_filter("envoy.filters.http.router", _router(inbound=inbound)),
        ],
        early_header_mutation_extensions=early_mutations,
        access_log=[*access_logs, *request_logs(observation)],
        local_reply_config=local_replies,
        upgrade_configs=[Manager.UpgradeConfig(upgrade_type="websocket")],
        normalize_path=BoolValue(value=True),
        merge_slashes=True,
        path_with_escaped_slashes_action=Manager.UNESCAPE_AND_REDIRECT,
        # An identifier of each request is for tracing. One that an application sends is passed on.
        generate_request_id=BoolValue(value=observation.spans is not None),
        # Long streams are ordinary (gRPC); an idle connection goes after an hour (Envoy's default).
        stream_idle_timeout=stream_idle_timeout or Duration(),
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(accept_http_10=True),
    )
    if observation.spans:
        caller = told_caller(former_proxies=former_proxies) if inbound else ""
        manager.tracing.CopyFrom(tracing(observation.spans, caller=caller))
    if inbound:
        # Against callers that are slow on purpose. Nobody else suffers when our own application is.
        manager.request_headers_timeout.FromSeconds(10)
        # Which the caller's proxy overwrites, so that answers are from `envoy` as with OSM.
        manager.server_header_transformation = Manager.PASS_THROUGH
        # The application learns who calls from a header that only its own proxy can set.
        manager.forward_client_cert_details = Manager.SANITIZE_SET
        manager.set_current_client_cert_details.uri = True
        manager.set_current_client_cert_details.dns = former_proxies
        manager.http2_protocol_options.max_concurrent_streams.CopyFrom(UInt32Value(value=1024))
        # Upgrades come as extended CONNECT (RFC 8441), which access rules see as the GET that it was.
        manager.http2_protocol_options.allow_connect = True
    else:
        manager.forward_client_cert_details = Manager.SANITIZE
    if from_outside:
        manager.use_remote_address.value = True
    elif inbound:
        # The caller's address is that of the connection. Without this it would be the last one of a
        # header that any application may send (`x-forwarded-for`), also to limits and authorizers.
        manager.xff_num_trusted_hops = MORE_THAN_FIT
    return network_filter("envoy.filters.network.http_connection_manager", manager)


def _router(*, inbound: bool) -> router_pb2.Router:
    """What the caller's proxy says and counts of an answer, the other one does not as well: its
    headers would be overwritten, and OSM's dashboards leave its counters out.
    """
    if inbound:
        return router_pb2.Router(suppress_envoy_headers=True, dynamic_stats=BoolValue(value=False))
    return router_pb2.Router()
