"""The ports of a workload's application, as its services name them."""

from osm.core.envoy.cluster import LocalCluster
from osm.core.envoy.connection_limits import ConnectionLimits, ConnectionRate
from osm.core.envoy.extension_cluster import extension_cluster_name
from osm.core.envoy.filters.global_rate_limit import AskedConnections
from osm.core.envoy.inbound import InboundPort
from osm.core.envoy.ingress import IngressPort
from osm.core.model.ingress import IngressRule
from osm.core.model.recorded import AnyModel
from osm.core.model.redirection import PROXY_SOURCE
from osm.core.model.service import Protocol, ServicePort
from osm.core.model.workload import Redirected, SocketAddress, Workload

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
                target, port.protocol.is_http, local_name(port), self.connection_limits(target)
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

    def services_and_roots(self) -> list[ServicePort]:
        """Also those whose traffic a split gives to the workload."""
        own = self.services()
        roots = [root for port in own for root in self._model.roots_of.get(port.name, ())]
        return [*own, *(self._model.services[root] for root in roots)]

    @property
    def is_asked(self) -> bool:
        """Proxies themselves ask the workload, of permission or of limits."""
        place = self._workload.namespace, self._workload.name
        return any(name in self._model.asked for name in self._model.services_of.get(place, ()))

    def ingress_port(self, rule: IngressRule) -> IngressPort:
        """A port as it is for callers outside of the mesh."""
        return IngressPort.of(rule, self.connection_limits(rule.port))

    def connection_limits(self, target: int) -> ConnectionLimits:
        """The limits of the first service by name that has one: a connection does not say which of
        them it is for.
        """
        own, everywhere = None, None
        for port in self.services():
            limits = self._model.upstreams.get(port.name.service)
            if port.target_port != target or limits is None:
                continue
            stat_prefix = f"inbound_{port.name.service}_{target}_{port.protocol}"
            if limits.tcp and own is None:
                own = ConnectionRate(limits.tcp, stat_prefix)
            if limits.tcp_everywhere and everywhere is None and not self.is_asked:
                cluster = extension_cluster_name(self._model, limits.tcp_everywhere.server)
                everywhere = AskedConnections(limits.tcp_everywhere, cluster, stat_prefix)
        return ConnectionLimits(own, everywhere)

    def clusters(self) -> dict[str, LocalCluster]:
        """By name."""
        workload = self._workload
        # With a network of its own the application can be called at the pod's address, too.
        at_pod_ip = isinstance(workload.capture, Redirected) and (
            self._model.settings.application_at_pod_ip
        )
        ip, source = (workload.ip, PROXY_SOURCE) if at_pod_ip else (workload.app_ip, "")
        clusters: dict[str, LocalCluster] = {}
        for target, port in self.targets().items():
            address = SocketAddress(ip, target)
            http2 = port.protocol in (Protocol.GRPC, Protocol.HTTP2)
            name = local_name(port)
            clusters[name] = LocalCluster(name, address, http2, source)
            if port.protocol.is_http and not http2:
                # gRPC also works on a port that is only said to be HTTP, as with OSM.
                name += HTTP2_SUFFIX
                clusters[name] = LocalCluster(name, address, http2=True, source=source)
        return clusters


def local_name(port: ServicePort) -> str:
    """The cluster of the application itself, behind a service port."""
    return port.cluster_name + LOCAL_SUFFIX
