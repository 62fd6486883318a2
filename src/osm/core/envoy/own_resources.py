"""What a proxy has because of the workload that it serves: listeners, access, the application."""

from osm.core.envoy import names
from osm.core.envoy.access import AccessGates, TcpAccess, open_gates
from osm.core.envoy.asked import Asked
from osm.core.envoy.cluster import LocalCluster
from osm.core.envoy.egress_resources import egress_ports
from osm.core.envoy.inbound import (
    InboundListener,
    inbound_listener_name,
    redirected_inbound,
)
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.envoy.ingress import IngressListener, IngressRoutes
from osm.core.envoy.observation import Observation, observation
from osm.core.envoy.outbound import (
    ExplicitHttpListener,
    ExplicitTcpListener,
    OutboundListener,
    TcpException,
    TcpSplit,
)
from osm.core.envoy.route import UnknownHosts
from osm.core.envoy.secret import CallersSecret
from osm.core.envoy.service_resources import weighted_clusters
from osm.core.envoy.tls import TlsSettings
from osm.core.envoy.workload_access import all_tcp_access, http_access
from osm.core.envoy.workload_ports import HTTP2_SUFFIX, WorkloadPorts, local_name
from osm.core.model.directory import Directory
from osm.core.model.egress import EgressRules, original_cluster
from osm.core.model.ingress import IngressRule
from osm.core.model.recorded import AnyModel
from osm.core.model.route import Backend
from osm.core.model.upstream import limited_paths
from osm.core.model.workload import Explicit, SocketAddress, Workload

Listener = (
    OutboundListener
    | ExplicitHttpListener
    | ExplicitTcpListener
    | InboundListener
    | IngressListener
)


class OwnResources:
    """The resources of one workload's proxy. `guarded`: what does not exist, it does not ask for."""

    def __init__(self, model: AnyModel, workload: Workload, *, guarded: bool) -> None:
        self._model = model
        self._workload = workload
        self._guarded = guarded
        self._ports = WorkloadPorts(model, workload)
        self._asked = Asked(model, workload, self._ports)

    # --- listeners

    def listeners(self) -> dict[str, Listener]:
        """By name."""
        found: tuple[Listener, ...] = (*self._outbound(), *self._inbound(), *self._ingress())
        return {
            names.OUTBOUND_LISTENER if isinstance(each, OutboundListener) else each.name: each
            for each in found
        }

    def outbound_routes(self) -> tuple[str, ...]:
        """The names of the route configurations of its outbound listeners."""
        if isinstance(self._workload.capture, Explicit):
            return (names.outbound_routes(0),)
        return tuple(names.outbound_routes(port) for port in self._http_ports())

    def _http_ports(self) -> tuple[int, ...]:
        """Ports on which the mesh speaks HTTP, and those on which the workload may leave it so."""
        beyond = {egress.port for egress in self._egress.http}
        return tuple(sorted({*self._model.destinations.http_ports, *beyond}))

    def _tcp_exceptions(self) -> tuple[TcpException, ...]:
        """Services of the mesh that speak TCP where others, or hosts beyond the mesh, speak HTTP."""
        destinations = self._model.destinations
        found = {port: set(addresses) for port, addresses in destinations.tcp_exceptions}
        for port in {e.port for e in self._egress.http} - set(destinations.http_ports):
            split = {
                ip for number, ips, _ in destinations.tcp_splits if number == port for ip in ips
            }
            found[port] = {ip for ip in self._tcp_addresses(port) if ip not in split}
        return tuple(TcpException(p, tuple(sorted(ips))) for p, ips in sorted(found.items()) if ips)

    @property
    def _observation(self) -> Observation:
        return observation(self._model, self._workload)

    @property
    def _egress(self) -> EgressRules:
        return self._model.egress.get(self._workload.identity, EgressRules())

    def extension_clusters(self) -> tuple[str, ...]:
        """Those of servers that its filters ask or tell: they are there before the first request."""
        return (*self._asked.clusters(), *self._observation.clusters)

    def egress_clusters(self) -> tuple[str, ...]:
        """Those that its listener names: they are there before the first connection."""
        if isinstance(self._workload.capture, Explicit):
            return ()
        ports = {each.port for each in self._egress.connections}
        passing = [names.PASSTHROUGH_CLUSTER] if self._model.settings.egress else []
        return (*(original_cluster(port) for port in sorted(ports)), *passing)

    def unknown_hosts(self, name: str) -> UnknownHosts | None:
        """What becomes of authorities that a proxy need not ask for, since it was told all."""
        if name.removesuffix("/*") not in self.outbound_routes():
            return None
        is_passing = self._model.settings.egress and names.parse_outbound_routes(name[:-2])
        return UnknownHosts(name, names.PASSTHROUGH_CLUSTER if is_passing else "")

    def _outbound(self) -> list[Listener]:
        workload, destinations = self._workload, self._model.destinations
        if isinstance(workload.capture, Explicit):
            return self._explicit(workload.capture)
        rules, passthrough = self._egress, self._model.settings.egress
        must_know = self._guarded or passthrough or bool(rules.connections)
        return [
            OutboundListener(
                self._observation,
                self._http_ports(),
                self._tcp_exceptions(),
                tuple(
                    TcpSplit(
                        port,
                        addresses,
                        weighted_clusters(self._model, self._model.routes[name].rules[-1]),
                    )
                    for port, addresses, name in destinations.tcp_splits
                ),
                known_tcp=self._known_tcp() if must_know else None,
                ranged_http=tuple(
                    sorted({e.port for e in rules.http if any(m.ranges for m in e.matches)})
                ),
                egress=egress_ports(self._model, rules, self._http_ports()),
                origins=tuple(sorted({each.origin for each in rules.connections})),
                passthrough=passthrough,
            )
        ]

    def _known_tcp(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        return tuple(
            (port, tuple(sorted(self._tcp_addresses(port))))
            for port in sorted(self._model.tcp_ports)
        )

    def _tcp_addresses(self, port: int) -> set[str]:
        found = self._model.tcp_ports.get(port, ())
        return {ip for name in found for ip in self._model.services[name].addresses}

    def _explicit(self, capture: Explicit) -> list[Listener]:
        told = self._observation
        listeners: list[Listener] = [
            ExplicitHttpListener(
                names.OUTBOUND_LISTENER, told, SocketAddress(capture.ip, capture.http_port)
            )
        ]
        for address, local in capture.tcp_ports:
            port = Directory(self._model).tcp_by_address(address)
            if port is not None:
                rule = self._model.routes[port.name].rules[-1]
                # The address of one pod leads to that pod, unless its headless service is split.
                is_pod = port.headless and rule.backends == (Backend(port.name),)
                listeners.append(
                    ExplicitTcpListener(
                        f"{names.OUTBOUND_LISTENER}.{address}",
                        told,
                        SocketAddress(capture.ip, local),
                        ((address, 1),) if is_pod else weighted_clusters(self._model, rule),
                    )
                )
        return listeners

    def _inbound(self) -> list[InboundListener]:
        workload, ports = self._workload, self._ports.inbound()
        tls = TlsSettings.of(self._model.settings)
        health_checks = self._model.settings.health_checks
        if not ports:
            return []
        if not workload.inbound:
            ingress = tuple(map(self._ports.ingress_port, self._ingress_rules()))
            return [
                redirected_inbound(
                    workload.identity,
                    ports,
                    tls,
                    ingress,
                    health_checks=health_checks,
                    observation=self._observation,
                )
            ]
        return [
            InboundListener(
                inbound_listener_name(port.port),
                workload.inbound_address(port.port),
                workload.identity,
                (port,),
                tls,
                health_checks=health_checks,
                observation=self._observation,
            )
            for port in ports
        ]

    def _ingress(self) -> list[IngressListener]:
        """Where nothing is redirected, what comes from outside arrives at sockets of its own."""
        workload = self._workload
        if not workload.ingress:
            return []
        return [
            IngressListener(
                f"{names.INGRESS_LISTENER}.{rule.port}",
                workload.ingress_address(rule.port),
                workload.identity,
                self._ports.ingress_port(rule),
                TlsSettings.of(self._model.settings),
                self._observation,
            )
            for rule in self._ingress_rules()
        ]

    def _ingress_rules(self) -> tuple[IngressRule, ...]:
        place = self._workload.namespace, self._workload.name
        targets = self._ports.targets()
        return tuple(rule for rule in self._model.ingress.get(place, ()) if rule.port in targets)

    # --- the application

    def local_clusters(self) -> dict[str, LocalCluster]:
        """By name."""
        return self._ports.clusters()

    def inbound_routes(self, name: str) -> InboundRoutes | None:
        """The routes and access rules of one HTTP port, by `rds-inbound.<port>`."""
        number = names.parse_port(name, "rds-inbound")
        port = next((p for p in self._ports.inbound() if p.port == number), None)
        if port is None or not port.is_http:
            return None
        access = http_access(self._model, self._workload, port.port)
        paths = limited_paths(access.rules, permissive=access.permissive)
        has_http2 = port.cluster + HTTP2_SUFFIX in self._ports.clusters()
        return InboundRoutes(
            name=name,
            cluster=port.cluster,
            grpc_cluster=port.cluster + HTTP2_SUFFIX if has_http2 else "",
            access=access,
            hosts=self._asked.hosts(port.port, paths),
            authorizer=self._asked.authorizer(),
        )

    def ingress_routes(self, name: str) -> IngressRoutes | None:
        """The routes for what comes from outside to one port, by `rds-ingress.<port>`."""
        number = names.parse_port(name, "rds-ingress")
        if number is None:
            return None
        rule = next((rule for rule in self._ingress_rules() if rule.port == number), None)
        if rule is None:
            return IngressRoutes(name)
        cluster = local_name(self._ports.targets()[number])
        has_http2 = cluster + HTTP2_SUFFIX in self._ports.clusters()
        return IngressRoutes(
            name,
            cluster,
            cluster + HTTP2_SUFFIX if has_http2 else "",
            rule,
            hosts=self._asked.hosts(number, rule.paths, outside=True),
            authorizer=self._asked.authorizer(),
        )

    # --- access

    def tcp_access(self, name: str) -> TcpAccess | None:
        """The access rules of one TCP port, by their name."""
        return next((access for access in self._tcp_access() if access.name == name), None)

    def gates(self, name: str) -> AccessGates:
        """What of TCP access is open."""
        return AccessGates(name, open_gates(self._tcp_access()))

    def callers(self, name: str, bundle: bytes) -> CallersSecret | None:
        """Whose certificates a TCP port of the workload accepts: those of its rules' sources."""
        number = names.parse_port(name, "tcp-callers")
        access = next((each for each in self._tcp_access() if each.port == number), None)
        if access is None:
            return None
        return CallersSecret(
            name,
            bundle,
            access.trust_domain,
            access.permissive,
            tuple(sorted({source for rule in access.rules for source in rule.sources})),
            access.former_proxies,
        )

    def _tcp_access(self) -> tuple[TcpAccess, ...]:
        return all_tcp_access(self._model, self._workload.identity, self._ports.inbound())
