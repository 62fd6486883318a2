"""What a proxy tells of its traffic: which logs and spans, and by which clusters they leave."""

import msgspec

from osm.core.envoy.extension_cluster import extension_cluster_name
from osm.core.envoy.filters.traffic_metrics import SourceLabels
from osm.core.model.directory import Directory
from osm.core.model.extension import ExtensionServer
from osm.core.model.origin import Origin
from osm.core.model.recorded import AnyModel
from osm.core.model.workload import Workload


class Collector(msgspec.Struct, frozen=True, order=True, gc=False):
    """A server that gets something, as `authority` (`<host>:<port>`) by a cluster."""

    cluster: str
    authority: str


class Log(msgspec.Struct, frozen=True, order=True, gc=False):
    """The access log that people have asked for (`model.observation.AccessLog`)."""

    origin: Origin
    format: str = ""
    collector: Collector | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    without_query: bool = False


class Spans(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where spans go."""

    collector: Collector
    path: str


class Observation(msgspec.Struct, frozen=True, order=True, gc=False):
    """Who tells, and what: by default nothing but metrics and refusals."""

    who: SourceLabels = SourceLabels("", "", "", "")
    log: Log | None = None
    spans: Spans | None = None

    @property
    def clusters(self) -> tuple[str, ...]:
        """Those by which it tells."""
        ends = (self.log and self.log.collector, self.spans and self.spans.collector)
        return tuple(end.cluster for end in ends if end)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Whom to tell when a proxy refuses it."""
        return (self.log.origin,) if self.log else ()


NOTHING = Observation()


def observation(model: AnyModel, workload: Workload) -> Observation:
    """What the proxy of a workload tells. A collector's own is not told about itself: each message
    to it would be the next one's cause.
    """
    labels = SourceLabels(
        workload.namespace, workload.owner_kind, workload.owner_name, workload.name
    )
    written = model.access_logs.get((workload.namespace, workload.name))
    log = None
    if written is not None:
        end = _collector(model, workload, written.collector) if written.collector else None
        log = Log(
            written.origin,
            written.format,
            end,
            written.attributes if end else (),
            written.without_query,
        )
    tracing = model.settings.tracing
    end = _collector(model, workload, tracing.server) if tracing else None
    return Observation(labels, log, Spans(end, tracing.path) if tracing and end else None)


def _collector(model: AnyModel, workload: Workload, server: ExtensionServer) -> Collector | None:
    authority = f"{server.host}:{server.port}"
    port = Directory(model).by_authority(authority, 0, "")
    if port and port.name in model.services_of.get((workload.namespace, workload.name), ()):
        return None
    return Collector(extension_cluster_name(model, server), authority)
