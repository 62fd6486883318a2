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
from osm.core.envoy.former import told_caller
from osm.core.envoy.names import CONTROL_PLANE_CLUSTER
from osm.core.envoy.route import RBAC_FILTER
from osm.core.model.authorization import AUTHORIZATION_ORIGIN
from osm.core.model.identity import Identity

DENIED_HEADER = "x-osm-denied"
PORT_TAG = "osm.port"
FORMER_TAG = "osm.former"
"""A custom tag with the DNS name in the certificate of a caller that may be a proxy of OSM's."""
UNKNOWN_CALLER = "SAN matcher"
"""What Envoy says of a handshake with a valid certificate of somebody that was not to connect."""
AUTHORIZER_DENIED, AUTHORIZER_ERROR = "ext_authz_denied", "ext_authz_error"
"""What Envoy says of requests that the external authorizer refused, or about which it said nothing."""
_AUTHORIZATION_FIELD = (
    f"{AUTHORIZATION_ORIGIN.kind}/{AUTHORIZATION_ORIGIN.name}/{AUTHORIZATION_ORIGIN.field}"
)
_NO_ANSWER = (
    "access denied by the mesh: its external authorizer did not answer, and `failureModeAllow` is "
    f"false ({AUTHORIZATION_ORIGIN})\n"
)
_BODY = (
    "access denied by the mesh: {source} may not %REQ(:METHOD)% %PATH(NQ:PATH)% "
    "of {destination} (%RESPONSE_CODE_DETAILS%)\n"
)
_LINE = (
    "[%START_TIME%] denied source={source} destination={destination} port={port} "
    "method=%REQ(:METHOD)% path=%PATH(NQ:PATH)% reason=%RESPONSE_CODE_DETAILS%\n"
)


class DenialContext(msgspec.Struct, frozen=True, order=True, gc=False):
    """The side that refuses. `former_proxies`: as in `Settings`, where proxies call."""

    destination: Identity
    port: int
    former_proxies: bool = False

    @property
    def peer(self) -> str:
        """How Envoy names a caller of the mesh."""
        return told_caller(former_proxies=self.former_proxies)


def denied_answer(
    context: DenialContext, *, caller: str = ""
) -> http_connection_manager_pb2.LocalReplyConfig:
    """A 403 that Envoy itself gives says who was refused what, and names the reason in a header.
    `caller`: how Envoy names one that is no proxy of the mesh.
    """
    only = accesslog_pb2.AccessLogFilter()
    comparison = only.status_code_filter.comparison
    comparison.op = accesslog_pb2.ComparisonFilter.EQ
    comparison.value.default_value = 403
    comparison.value.runtime_key = "osm.denied_status"
    text = _BODY.format(source=caller or context.peer, destination=context.destination.short)
    return http_connection_manager_pb2.LocalReplyConfig(
        mappers=[
            *_authorizer_answers(),
            http_connection_manager_pb2.ResponseMapper(
                filter=only,
                body_format_override=text_format(text),
                headers_to_add=[_overwrite(DENIED_HEADER, "%RESPONSE_CODE_DETAILS%")],
            ),
        ]
    )


def _authorizer_answers() -> list[http_connection_manager_pb2.ResponseMapper]:
    """What the external authorizer refuses says so in the header; status and body are its own. When it
    did not answer, the body is ours.
    """
    header = _overwrite(DENIED_HEADER, f"%RESPONSE_CODE_DETAILS%[{_AUTHORIZATION_FIELD}]")
    no_answer = accesslog_pb2.AccessLogFilter()
    both = no_answer.and_filter.filters
    both.add().CopyFrom(_by_authorizer())
    both.add().CopyFrom(_fits(f"response.code_details == '{AUTHORIZER_ERROR}'"))
    return [
        http_connection_manager_pb2.ResponseMapper(
            filter=no_answer, body_format_override=text_format(_NO_ANSWER), headers_to_add=[header]
        ),
        http_connection_manager_pb2.ResponseMapper(
            filter=_by_authorizer(), headers_to_add=[header]
        ),
    ]


def _overwrite(name: str, value: str) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def http_denial_logs(context: DenialContext, *, caller: str = "") -> list[accesslog_pb2.AccessLog]:
    """Log refused requests: a line for people, an entry for the control plane."""
    line = _LINE.format(
        source=caller or context.peer, destination=context.destination.short, port=context.port
    )
    return [
        access_logger(
            # Beside the output, which is for the access logs that people ask for.
            "envoy.access_loggers.stderr",
            stream_pb2.StderrAccessLog(log_format=text_format(line)),
            only=_denied_request(),
        ),
        access_logger(
            "envoy.access_loggers.http_grpc",
            als_pb2.HttpGrpcAccessLogConfig(common_config=_to_control_plane("http", context)),
            only=_denied_request(),
        ),
    ]


def tcp_denial_logs(context: DenialContext) -> list[accesslog_pb2.AccessLog]:
    """Send an entry for each refused connection to the control plane."""
    return [
        access_logger(
            "envoy.access_loggers.tcp_grpc",
            als_pb2.TcpGrpcAccessLogConfig(common_config=_to_control_plane("tcp", context)),
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
    by_rules = only.or_filter.filters.add().metadata_filter
    by_rules.matcher.CopyFrom(matcher)
    by_rules.match_if_key_not_found.value = False
    only.or_filter.filters.add().CopyFrom(_by_authorizer())
    return only


def _by_authorizer() -> accesslog_pb2.AccessLogFilter:
    """Requests that the external authorizer refused, or about which it did not answer."""
    flag = accesslog_pb2.ResponseFlagFilter(flags=["UAEX"])
    return accesslog_pb2.AccessLogFilter(response_flag_filter=flag)


def _refused_connection() -> accesslog_pb2.AccessLogFilter:
    """Connections that network RBAC ended, or for whose caller the handshake found no access rule.

    Neither leaves metadata behind, only a reason. An attribute that is not there is an error in CEL.
    """
    return _fits(
        " || ".join(
            f"has(connection.{attribute}) && connection.{attribute}.contains('{text}')"
            for attribute, text in (
                ("termination_details", "rbac_access_denied"),
                ("transport_failure_reason", UNKNOWN_CALLER),
            )
        )
    )


def _fits(expression: str) -> accesslog_pb2.AccessLogFilter:
    """Entries that an expression of CEL is true for."""
    only = accesslog_pb2.AccessLogFilter()
    only.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    only.extension_filter.typed_config.Pack(
        cel_pb2.ExpressionFilter(expression=expression), deterministic=True
    )
    return only


def _to_control_plane(kind: str, context: DenialContext) -> als_pb2.CommonGrpcAccessLogConfig:
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
    tag.literal.value = str(context.port)
    if context.former_proxies:
        # Among a certificate's names, Envoy's entries have only the URIs (seen with Envoy 1.40).
        config.custom_tags.add(tag=FORMER_TAG, value="%DOWNSTREAM_PEER_DNS_SAN%")
    return config
