"""Access logs that people have asked for, on the proxy's output and at a collector.

They stand in the filter chains, not at the listener: a listener that changes elsewhere than in its
chains is replaced, and all its connections end. What stands there counts for connections that begin
later; those that live are drained (`docs/decisions/0012-access-logs-in-filter-chains.md`).
"""

from collections.abc import Mapping

import msgspec
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.core.v3 import (
    extension_pb2,
    grpc_service_pb2,
    substitution_format_string_pb2,
)
from osm._envoy.envoy.extensions.access_loggers.grpc.v3 import als_pb2
from osm._envoy.envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2
from osm._envoy.envoy.extensions.access_loggers.stream.v3 import stream_pb2
from osm._envoy.envoy.extensions.formatter.req_without_query.v3 import req_without_query_pb2
from osm._envoy.opentelemetry.proto.common.v1 import common_pb2
from osm.core.envoy.filters.extension import access_logger, text_format
from osm.core.envoy.observation import Collector, Log, Observation

DEFAULT_FORMAT: Mapping[str, object] = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "time_to_first_byte": "%RESPONSE_DURATION%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "response_flags": "%RESPONSE_FLAGS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
}
"""OSM's: 19 keys (`reference/osm.md` §7.10)."""
_FLUSH_MS = 1000
_ENDED = accesslog_pb2.AccessLogFilter(
    log_type_filter=accesslog_pb2.LogTypeFilter(types=["TcpConnectionEnd"])
)
"""A connection is logged once, when it ends."""

Loggers = list[accesslog_pb2.AccessLog]


def request_logs(observation: Observation) -> Loggers:
    """A logger of each request on the proxy's output, and one for the collector."""
    return _logs(observation, None)


def connection_logs(observation: Observation) -> Loggers:
    """The same for TCP connections."""
    return _logs(observation, _ENDED)


def _logs(observation: Observation, only: accesslog_pb2.AccessLogFilter | None) -> Loggers:
    log = observation.log
    if log is None:
        return []
    on_output = stream_pb2.StdoutAccessLog(log_format=_format(log))
    loggers = [access_logger("envoy.access_loggers.stdout", on_output, only=only)]
    if log.collector:
        told = _open_telemetry(observation, log, log.collector)
        loggers.append(access_logger("envoy.access_loggers.open_telemetry", told, only=only))
    return loggers


def _format(log: Log) -> substitution_format_string_pb2.SubstitutionFormatString:
    members = _members(log.format)
    if members is None:
        found = text_format(log.format if log.format.endswith("\n") else log.format + "\n")
    else:
        found = substitution_format_string_pb2.SubstitutionFormatString(json_format=Struct())
        ParseDict(_plain(members), found.json_format)
    found.formatters.extend(_formatters(log))
    return found


def _members(written: str) -> Mapping[str, object] | None:
    """Those of a JSON format; None of a text."""
    if not written:
        return DEFAULT_FORMAT
    if not written.lstrip().startswith("{"):
        return None
    return msgspec.json.decode(written.encode(), type=dict[str, object])


def _formatters(log: Log) -> list[extension_pb2.TypedExtensionConfig]:
    if not log.without_query:
        return []
    formatter = extension_pb2.TypedExtensionConfig(name="envoy.formatter.req_without_query")
    formatter.typed_config.Pack(req_without_query_pb2.ReqWithoutQuery())
    return [formatter]


def _plain(members: Mapping[str, object]) -> dict[str, object]:
    """JSON as protobuf can hold it: numbers too large for it become texts."""
    return {name: _plain_value(value) for name, value in members.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list):
        return [_plain_value(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if abs(value) < 2**53 else str(value)
    return value


def _open_telemetry(
    observation: Observation, log: Log, collector: Collector
) -> logs_service_pb2.OpenTelemetryAccessLogConfig:
    """The body is the format: a text, or, so that nobody forges a field by a header, a map."""
    service = grpc_service_pb2.GrpcService(
        envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(
            cluster_name=collector.cluster, authority=collector.authority
        )
    )
    common = als_pb2.CommonGrpcAccessLogConfig(
        log_name=collector.authority.replace(":", "."),
        grpc_service=service,
        transport_api_version="V3",
    )
    common.buffer_flush_interval.FromMilliseconds(_FLUSH_MS)
    members = _members(log.format)
    return logs_service_pb2.OpenTelemetryAccessLogConfig(
        common_config=common,
        resource_attributes=_pairs(_resource(observation)),
        body=_any(log.format if members is None else members),
        attributes=_pairs(dict(log.attributes)),
        formatters=_formatters(log),
    )


def _resource(observation: Observation) -> dict[str, object]:
    """Who tells, by OpenTelemetry's names."""
    who = observation.who
    return {
        "service.name": who.name,
        "service.namespace": who.namespace,
        "service.instance.id": who.pod,
        "k8s.namespace.name": who.namespace,
        "k8s.pod.name": who.pod,
    }


def _pairs(members: Mapping[str, object]) -> common_pb2.KeyValueList:
    return common_pb2.KeyValueList(
        values=[common_pb2.KeyValue(key=name, value=_any(each)) for name, each in members.items()]
    )


def _any(value: object) -> common_pb2.AnyValue:
    """Envoy takes texts, maps and lists of them, and nothing else."""
    if isinstance(value, Mapping):
        return common_pb2.AnyValue(kvlist_value=_pairs(value))
    if isinstance(value, list):
        values = [_any(each) for each in value]
        return common_pb2.AnyValue(array_value=common_pb2.ArrayValue(values=values))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return common_pb2.AnyValue(string_value=text)
