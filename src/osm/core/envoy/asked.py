"""Whom a workload's proxy asks about what arrives: the external authorizer, servers that keep limits.

About what arrives at such a server itself nobody is asked: the question would be the next request.
"""

from osm.core.envoy.extension_cluster import extension_cluster_name
from osm.core.envoy.filters.external_authorization import AskedAuthorizer
from osm.core.envoy.inbound_host import InboundHost, inbound_hosts
from osm.core.envoy.workload_ports import WorkloadPorts
from osm.core.model.recorded import AnyModel
from osm.core.model.workload import PipeAddress, Workload


class Asked:
    """What one workload's proxy asks. Without HTTP ports no authorizer is asked."""

    def __init__(self, model: AnyModel, workload: Workload, ports: WorkloadPorts) -> None:
        self._model = model
        self._workload = workload
        self._ports = ports

    def authorizer(self) -> AskedAuthorizer | None:
        """Who is asked about requests."""
        authorization = self._model.settings.authorization
        if authorization is None or self._ports.is_asked:
            return None
        cluster = extension_cluster_name(self._model, authorization.server)
        return AskedAuthorizer(authorization, cluster)

    def hosts(
        self, port: int, paths: frozenset[str], *, outside: bool = False
    ) -> tuple[InboundHost, ...]:
        """Limits of requests to a port, for the routes' `paths`; of those from `outside` the mesh an
        address is always known.
        """
        names = tuple(each.name for each in self._ports.services() if each.target_port == port)
        piped = isinstance(self._workload.inbound_address(port), PipeAddress)
        return inbound_hosts(
            self._model,
            names,
            paths,
            by_identity=piped and not outside,
            is_asked=self._ports.is_asked,
        )

    def clusters(self) -> tuple[str, ...]:
        """The servers, as clusters."""
        ports = self._ports.inbound()
        authorizer = self.authorizer() if any(port.is_http for port in ports) else None
        found = {authorizer.cluster} if authorizer else set()
        if not self._ports.is_asked:
            for service in {port.name.service for port in self._ports.services_and_roots()}:
                limits = self._model.upstreams.get(service)
                for limit in limits.asked if limits else ():
                    found.add(extension_cluster_name(self._model, limit.server))
        return tuple(sorted(found))
