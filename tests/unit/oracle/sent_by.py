"""What the control plane would send to the proxies of a model, for the simulation to read."""

from google.protobuf.message import Message
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.envoy.catalog import Value
from osm.core.envoy.render import build
from osm.core.explain.simulation.call import Certificate
from osm.core.explain.simulation.sent import Place, Sent
from osm.core.model.mesh import Model


def sent_by(model: Model) -> Sent:
    """All that proxies hold or may ask for. Equal values are one message, as they are one resource."""
    return Sent(places_of(model), Fetcher(model), Fetcher(model).unasked)


def places_of(model: Model) -> dict[str, Place]:
    return {
        f"{workload.namespace}/{workload.name}": Place(
            workload.ip,
            Certificate((workload.identity.spiffe_id,), (workload.identity.dns_name,)),
        )
        for workload in model.workloads.values()
    }


class Fetcher:
    """Looks up what a proxy is sent for a name."""

    def __init__(self, model: Model) -> None:
        self._catalog = catalog_of(model)
        self._proxies = {f"{w.namespace}/{w.name}": w.proxy for w in model.workloads.values()}
        self._built: dict[Value, Message] = {}

    def __call__(self, proxy: str, type_url: str, name: str) -> Message | None:
        value = value_of(self._catalog, self._proxies[proxy], type_url, name)
        if value is None:
            return None
        if value not in self._built:
            self._built[value] = build(value)
        return self._built[value]

    def unasked(self, proxy: str, type_url: str) -> tuple[str, ...]:
        return self._catalog.names(self._proxies[proxy], type_url)
