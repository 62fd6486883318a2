"""The ports of a workload's application, as its services name them."""

from osm.core.envoy.cluster import LocalCluster
from osm.core.envoy.inbound import ConnectionRate, InboundPort
from osm.core.model.recorded import AnyModel
from osm.core.model.service import Protocol, ServicePort
from osm.core.model.workload import SocketAddress, Workload

HTTP2_SUFFIX = "|h2"
LOCAL_SUFFIX = "|local"


class WorkloadPorts:
    """What of an application is called by others."""

    def __init__(self, model: AnyModel, workload: Workload) -> None:
        self._model = model
        self._workload = workload

    def inbound(self) -> tuple[InboundPort, ...]:
        """The target ports of the services that select the workload, each with one protocol: the
        first service's by name, where several disagree.
        """
        return tuple(
            InboundPort(
                target, port.protocol.is_http, local_name(port), self._connection_rate(target)
            )
            for target, port in sorted(self.targets().items())
        )

    def targets(self) -> dict[int, ServicePort]:
        found: dict[int, ServicePort] = {}
        for port in self.services():
            if port.target_port:
                found.setdefault(port.target_port, port)
        return found

    def services(self) -> list[ServicePort]:
        place = self._workload.namespace, self._workload.name
        return [self._model.services[name] for name in self._model.services_of.get(place, ())]

    def _connection_rate(self, target: int) -> ConnectionRate | None:
        """The limit of the first service by name that has one: a connection does not say which of
        them it is for.
        """
        for port in self.services():
            limits = self._model.upstreams.get(port.name.service)
            if port.target_port == target and limits and limits.tcp:
                stat_prefix = f"inbound_{port.name.service}_{target}_{port.protocol}"
                return ConnectionRate(limits.tcp, stat_prefix)
        return None

    def clusters(self) -> dict[str, LocalCluster]:
        """By name."""
        clusters: dict[str, LocalCluster] = {}
        for target, port in self.targets().items():
            address = SocketAddress(self._workload.app_ip, target)
            http2 = port.protocol in (Protocol.GRPC, Protocol.HTTP2)
            name = local_name(port)
            clusters[name] = LocalCluster(name, address, http2)
            if port.protocol.is_http and not http2:
                # gRPC also works on a port that is only said to be HTTP, as with OSM.
                name += HTTP2_SUFFIX
                clusters[name] = LocalCluster(name, address, http2=True)
        return clusters


def local_name(port: ServicePort) -> str:
    """The cluster of the application itself, behind a service port."""
    return port.cluster_name + LOCAL_SUFFIX
