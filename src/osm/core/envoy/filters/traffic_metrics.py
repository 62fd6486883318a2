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
        counters=[
            stats_pb2.Config.Counter(
                stat=stats_pb2.Config.Stat(
                    name="request_total",
                    tags=[*parties, _tag("response_code", "%RESPONSE_CODE%")],
                ),
                value_fixed={"value": 1},
            )
        ],
        histograms=[
            stats_pb2.Config.Histogram(
                stat=stats_pb2.Config.Stat(name="request_duration_ms", tags=parties),
                unit=stats_pb2.Config.Histogram.Milliseconds,
                value_format="%DURATION%",
            )
        ],
    )
    return access_logger("envoy.access_loggers.stats", config)


def tcp_traffic_metrics(source: SourceLabels) -> accesslog_pb2.AccessLog:
    """`osm_tcp_connections_total` and bytes, counted when a connection ends."""
    parties = _parties(source)
    config = stats_pb2.Config(
        stat_prefix=PREFIX,
        counters=[
            stats_pb2.Config.Counter(
                stat=stats_pb2.Config.Stat(name="tcp_connections_total", tags=parties),
                value_fixed={"value": 1},
            ),
            stats_pb2.Config.Counter(
                stat=stats_pb2.Config.Stat(name="tcp_bytes_sent_total", tags=parties),
                value_format="%BYTES_RECEIVED%",
            ),
            stats_pb2.Config.Counter(
                stat=stats_pb2.Config.Stat(name="tcp_bytes_received_total", tags=parties),
                value_format="%BYTES_SENT%",
            ),
        ],
    )
    return access_logger("envoy.access_loggers.stats", config)


def _parties(source: SourceLabels) -> list[stats_pb2.Config.Tag]:
    tags = [
        _tag(f"source_{part}", value.replace("%", "%%"))
        for part, value in msgspec.structs.asdict(source).items()
    ]
    return tags + [
        _tag(f"destination_{part}", f"%UPSTREAM_METADATA({METADATA}:{part})%")
        for part in ("namespace", "kind", "name", "pod")
    ]


def _tag(name: str, value: str) -> stats_pb2.Config.Tag:
    return stats_pb2.Config.Tag(name=name, value_format=value)
