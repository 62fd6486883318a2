"""What proxies tell of the traffic that they carry: access logs, and spans of traces."""

import msgspec

from osm.core.model.extension import ExtensionServer
from osm.core.model.origin import Origin


class AccessLog(msgspec.Struct, frozen=True, gc=False):
    """What a workload's proxy logs of each request and connection, and who else gets it.

    `format` is a text or a JSON object, with Envoy's operators; empty: OSM's default.
    """

    origin: Origin
    format: str = ""
    collector: ExtensionServer | None = None
    """Speaks OpenTelemetry (OTLP logs over gRPC)."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Of each entry that the collector gets; with Envoy's operators."""
    without_query: bool = False
    """`%REQ_WITHOUT_QUERY%` stands in one of them."""


class Tracing(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where spans go: a server that takes Zipkin's JSON (version 2) at a path."""

    server: ExtensionServer
    path: str
