"""Spans of requests: Zipkin's JSON (version 2) to a collector, B3 headers to the application.

The caller's proxy and the server's each tell of a request, under one trace. That a request of an
application belongs to the one which it answers only the application knows: it passes the headers on.
"""

from osm._envoy.envoy.config.trace.v3 import zipkin_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.type.metadata.v3 import metadata_pb2
from osm._envoy.envoy.type.tracing.v3 import custom_tag_pb2
from osm.core.envoy.names import METADATA
from osm.core.envoy.observation import Spans

Tracing = http_connection_manager_pb2.HttpConnectionManager.Tracing

OPERATION = "%REQ(:METHOD)% %REQ(:AUTHORITY)%"


def tracing(spans: Spans, *, caller: str) -> Tracing:
    """Every request, unless it says itself that it is not to be traced (`x-b3-sampled: 0`). `caller`:
    how Envoy names who sends it; empty where the requests are those of our own application.
    """
    found = Tracing(verbose=True, operation=OPERATION, custom_tags=_tags(caller))
    # Not 100 %, which is the default, but written out: Envoy looks for a runtime key else.
    for share in (found.client_sampling, found.random_sampling, found.overall_sampling):
        share.value = 100
    found.provider.name = "envoy.tracers.zipkin"
    found.provider.typed_config.Pack(
        zipkin_pb2.ZipkinConfig(
            collector_cluster=spans.collector.cluster,
            collector_hostname=spans.collector.authority,
            collector_endpoint=spans.path,
            collector_endpoint_version=zipkin_pb2.ZipkinConfig.HTTP_JSON,
        ),
        deterministic=True,
    )
    return found


def _tags(caller: str) -> list[custom_tag_pb2.CustomTag]:
    """What tells who spoke with whom, and by which object's rule."""
    if caller:
        return [_value("osm.caller", caller)]
    return [
        _value("osm.server", "%UPSTREAM_PEER_URI_SAN%"),
        _route_metadata("osm.route", "origin"),
    ]


def _value(tag: str, text: str) -> custom_tag_pb2.CustomTag:
    return custom_tag_pb2.CustomTag(tag=tag, value=text)


def _route_metadata(tag: str, name: str) -> custom_tag_pb2.CustomTag:
    found = custom_tag_pb2.CustomTag(tag=tag)
    found.metadata.kind.route.CopyFrom(metadata_pb2.MetadataKind.Route())
    found.metadata.metadata_key.key = METADATA
    found.metadata.metadata_key.path.add(key=name)
    return found
