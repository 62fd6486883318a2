"""OSM's traffic metrics, counted where requests leave (`reference/osm.md` §5.3).

The source's labels are constants of the proxy; the destination's come with the endpoint that took the
request, so that nobody has to send them along as headers.
"""

import msgspec

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.extensions.access_loggers.stats.v3 import stats_pb2
from osm.core.envoy.filters.extension import access_logger
from osm.core.envoy.names import METADATA

PREFIX = "osm"
"""Envoy joins it to each name with a dot, which Prometheus sees as an underscore."""


STATS = "envoy.access_loggers.stats"
# Where no endpoint took the request, the cluster says whose it would have been.
_DESTINATION = (
    '%COALESCE({"operators":[{"command":"UPSTREAM_METADATA","param":"'
    + METADATA
    + ':PART"},{"command":"CLUSTER_METADATA","param":"'
    + METADATA
    + ':PART"}]})%'
)


class SourceLabels(msgspec.Struct, frozen=True, order=True, gc=False):
    """Who sends, in metrics."""

    namespace: str
    kind: str
    name: str
    pod: str


def http_traffic_metrics(source: SourceLabels) -> accesslog_pb2.AccessLog:
    """`osm_request_total` and `osm_request_duration_ms`."""
    parties = _parties(source)
    config = stats_pb2.Config(
        stat_prefix=PREFIX,
        counters=[_counter("request_total", [*parties, _tag("response_code", "%RESPONSE_CODE%")])],
        histograms=[
            stats_pb2.Config.Histogram(
                stat=stats_pb2.Config.Stat(name="request_duration_ms", tags=parties),
                unit=stats_pb2.Config.Histogram.Milliseconds,
                value_format="%DURATION%",
            )
        ],
    )
    return access_logger(STATS, config)


def tcp_traffic_metrics(source: SourceLabels) -> list[accesslog_pb2.AccessLog]:
    """Connections when they are made and when they end, and the bytes of those that ended.

    The proxy must log established connections (`flush_access_log_on_connected`).
    """
    parties = _parties(source)
    opened = stats_pb2.Config(
        stat_prefix=PREFIX, counters=[_counter("tcp_connections_opened_total", parties)]
    )
    closed = stats_pb2.Config(
        stat_prefix=PREFIX,
        counters=[
            _counter("tcp_connections_closed_total", parties),
            _counter("tcp_bytes_sent_total", parties, "%BYTES_RECEIVED%"),
            _counter("tcp_bytes_received_total", parties, "%BYTES_SENT%"),
        ],
    )
    return [
        access_logger(STATS, opened, only=_only("TcpUpstreamConnected")),
        access_logger(STATS, closed, only=_only("TcpConnectionEnd")),
    ]


def _counter(
    name: str, tags: list[stats_pb2.Config.Tag], value_format: str = ""
) -> stats_pb2.Config.Counter:
    counter = stats_pb2.Config.Counter(stat=stats_pb2.Config.Stat(name=name, tags=tags))
    if value_format:
        counter.value_format = value_format
    else:
        counter.value_fixed.value = 1
    return counter


def _only(kind: str) -> accesslog_pb2.AccessLogFilter:
    return accesslog_pb2.AccessLogFilter(log_type_filter=accesslog_pb2.LogTypeFilter(types=[kind]))


def _parties(source: SourceLabels) -> list[stats_pb2.Config.Tag]:
    tags = [
        _tag(f"source_{part}", value.replace("%", "%%"))
        for part, value in msgspec.structs.asdict(source).items()
    ]
    return tags + [
        _tag(f"destination_{part}", _DESTINATION.replace("PART", part))
        for part in ("namespace", "kind", "name", "pod")
    ]


def _tag(name: str, value: str) -> stats_pb2.Config.Tag:
    return stats_pb2.Config.Tag(name=name, value_format=value)
