"""A model that notes what is looked up in it."""

from osm.core.derive.reads import WHOLE, Recorder, Watched
from osm.core.model.mesh import Destinations, Model, Settings


class RecordedModel:
    """Reads like a `Model`; each look goes to the recorder, by the name of the model's field."""

    def __init__(self, model: Model, recorder: Recorder) -> None:
        self._model = model
        self._recorder = recorder
        self.workloads = Watched("workloads", model.workloads, recorder)
        self.services = Watched("services", model.services, recorder)
        self.ports_of = Watched("ports_of", model.ports_of, recorder)
        self.aliases = Watched("aliases", model.aliases, recorder)
        self.by_address = Watched("by_address", model.by_address, recorder)
        self.by_cluster = Watched("by_cluster", model.by_cluster, recorder)
        self.tcp_ports = Watched("tcp_ports", model.tcp_ports, recorder)
        self.routes = Watched("routes", model.routes, recorder)
        self.endpoints = Watched("endpoints", model.endpoints, recorder)
        self.services_of = Watched("services_of", model.services_of, recorder)
        self.access = Watched("access", model.access, recorder)
        self.asked = Watched("asked", model.asked, recorder)
        self.ingress = Watched("ingress", model.ingress, recorder)
        self.egress = Watched("egress", model.egress, recorder)
        self.egress_limits = Watched("egress_limits", model.egress_limits, recorder)
        self.egress_clusters = Watched("egress_clusters", model.egress_clusters, recorder)
        self.retries = Watched("retries", model.retries, recorder)
        self.upstreams = Watched("upstreams", model.upstreams, recorder)
        self.roots_of = Watched("roots_of", model.roots_of, recorder)
        self.access_logs = Watched("access_logs", model.access_logs, recorder)

    @property
    def settings(self) -> Settings:
        self._recorder.reads.add(("settings", WHOLE))
        return self._model.settings

    @property
    def destinations(self) -> Destinations:
        self._recorder.reads.add(("destinations", WHOLE))
        return self._model.destinations


AnyModel = Model | RecordedModel
