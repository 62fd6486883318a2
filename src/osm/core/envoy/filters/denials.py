"""Makes refusals visible: to the caller in the answer, to people in logs, to the control plane."""

import msgspec

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import base_pb2, grpc_service_pb2
from osm._envoy.envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from osm._envoy.envoy.extensions.access_loggers.grpc.v3 import als_pb2
from osm._envoy.envoy.extensions.access_loggers.stream.v3 import stream_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import metadata_pb2, string_pb2, value_pb2
from osm.core.envoy.filters.extension import access_logger, text_format
from osm.core.envoy.names import CONTROL_PLANE_CLUSTER
from osm.core.envoy.route import RBAC_FILTER
from osm.core.model.identity import Identity

DENIED_HEADER = "x-osm-denied"
PORT_TAG = "osm.port"
PEER = "%DOWNSTREAM_PEER_URI_SAN%"
UNKNOWN_CALLER = "SAN matcher"
"""What Envoy says of a handshake with a valid certificate of somebody that was not to connect."""
_BODY = (
    "access denied by the mesh: {source} may not %REQ(:METHOD)% %PATH(NQ:PATH)% "
    "of {destination} (%RESPONSE_CODE_DETAILS%)\n"
)
_LINE = (
    "[%START_TIME%] denied source={source} destination={destination} port={port} "
    "method=%REQ(:METHOD)% path=%PATH(NQ:PATH)% reason=%RESPONSE_CODE_DETAILS%\n"
)


class DenialContext(msgspec.Struct, frozen=True, order=True, gc=False):
    """The side that refuses."""

    destination: Identity
    port: int


def denied_answer(
    context: DenialContext, *, caller: str = PEER
) -> http_connection_manager_pb2.LocalReplyConfig:
    """A 403 that Envoy itself gives says who was refused what, and names the reason in a header."""
    only = accesslog_pb2.AccessLogFilter()
    comparison = only.status_code_filter.comparison
    comparison.op = accesslog_pb2.ComparisonFilter.EQ
    comparison.value.default_value = 403
    comparison.value.runtime_key = "osm.denied_status"
    text = _BODY.format(source=caller, destination=context.destination.short)
    header = base_pb2.HeaderValue(key=DENIED_HEADER, value="%RESPONSE_CODE_DETAILS%")
    return http_connection_manager_pb2.LocalReplyConfig(
        mappers=[
            http_connection_manager_pb2.ResponseMapper(
                filter=only,
                body_format_override=text_format(text),
                headers_to_add=[
                    base_pb2.HeaderValueOption(
                        header=header,
                        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                    )
                ],
            )
        ]
    )


def http_denial_logs(
    context: DenialContext, *, caller: str = PEER
) -> list[accesslog_pb2.AccessLog]:
    """Log refused requests: a line for people, an entry for the control plane."""
    line = _LINE.format(source=caller, destination=context.destination.short, port=context.port)
    return [
        access_logger(
            "envoy.access_loggers.stdout",
            stream_pb2.StdoutAccessLog(log_format=text_format(line)),
            only=_denied_request(),
        ),
        access_logger(
            "envoy.access_loggers.http_grpc",
            als_pb2.HttpGrpcAccessLogConfig(common_config=_to_control_plane("http", context.port)),
            only=_denied_request(),
        ),
    ]


def tcp_denial_logs(context: DenialContext) -> list[accesslog_pb2.AccessLog]:
    """Send an entry for each refused connection to the control plane."""
    return [
        access_logger(
            "envoy.access_loggers.tcp_grpc",
            als_pb2.TcpGrpcAccessLogConfig(common_config=_to_control_plane("tcp", context.port)),
            only=_refused_connection(),
        ),
    ]


def _denied_request() -> accesslog_pb2.AccessLogFilter:
    matcher = metadata_pb2.MetadataMatcher(
        filter=RBAC_FILTER,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key="enforced_engine_result")],
        value=value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(exact="denied")),
    )
    only = accesslog_pb2.AccessLogFilter()
    only.metadata_filter.matcher.CopyFrom(matcher)
    only.metadata_filter.match_if_key_not_found.value = False
    return only


def _refused_connection() -> accesslog_pb2.AccessLogFilter:
    """Connections that network RBAC ended, or for whose caller the handshake found no access rule.

    Neither leaves metadata behind, only a reason. An attribute that is not there is an error in CEL.
    """
    expression = cel_pb2.ExpressionFilter(
        expression=" || ".join(
            f"has(connection.{attribute}) && connection.{attribute}.contains('{text}')"
            for attribute, text in (
                ("termination_details", "rbac_access_denied"),
                ("transport_failure_reason", UNKNOWN_CALLER),
            )
        )
    )
    only = accesslog_pb2.AccessLogFilter()
    only.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    only.extension_filter.typed_config.Pack(expression, deterministic=True)
    return only


def _to_control_plane(kind: str, port: int) -> als_pb2.CommonGrpcAccessLogConfig:
    config = als_pb2.CommonGrpcAccessLogConfig(
        log_name=f"denied-{kind}",
        grpc_service=grpc_service_pb2.GrpcService(
            envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=CONTROL_PLANE_CLUSTER)
        ),
        transport_api_version="V3",
    )
    config.buffer_flush_interval.FromMilliseconds(200)
    # Which port was meant is what an entry does not say by itself: proxies may talk over unix sockets.
    tag = config.custom_tags.add(tag=PORT_TAG)
    tag.literal.value = str(port)
    return config
