"""Which resource a proxy gets for a name: from the model, by lookup, nothing built yet.

`Catalog` answers, for one model, what value stands behind an xDS type and name as one proxy sees it.
Equal values are equal resources, whoever asks: a proxy's own identity, namespace and name enter only
where the answer really depends on them (`scope`).
"""

from collections.abc import Hashable, Mapping
from functools import cached_property

import msgspec

from osm.core.envoy import names
from osm.core.envoy.access import AccessGates, HttpAccess, TcpAccess, open_gates
from osm.core.envoy.address import is_socket_address
from osm.core.envoy.cluster import LocalCluster, NowhereCluster, ServiceCluster
from osm.core.envoy.endpoint import Endpoints
from osm.core.envoy.filters.traffic_metrics import SourceLabels
from osm.core.envoy.inbound import (
    InboundListener,
    InboundPort,
    inbound_listener_name,
    redirected_inbound,
)
from osm.core.envoy.outbound import (
    ExplicitHttpListener,
    ExplicitTcpListener,
    OutboundListener,
    TcpException,
    TcpSplit,
)
from osm.core.envoy.route import InboundRoutes, OutboundHost, OutboundRoutes, OutboundRule
from osm.core.envoy.secret import CallersSecret, CertificateSecret, TrustSecret
from osm.core.envoy.tls import TlsSettings
from osm.core.model.access import AccessRule
from osm.core.model.directory import Directory
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.model.route import RouteRule
from osm.core.model.service import Protocol, ServicePort
from osm.core.model.workload import Explicit, SocketAddress, Workload
from osm.core.xds import types

Value = (
    ServiceCluster
    | NowhereCluster
    | LocalCluster
    | Endpoints
    | OutboundListener
    | ExplicitHttpListener
    | ExplicitTcpListener
    | InboundListener
    | OutboundRoutes
    | OutboundHost
    | InboundRoutes
    | TcpAccess
    | AccessGates
    | CertificateSecret
    | TrustSecret
    | CallersSecret
)

HTTP2_SUFFIX = "|h2"
LOCAL_SUFFIX = "|local"


class Credentials(msgspec.Struct, frozen=True):
    """Certificates that identities have at this moment, and the roots to trust. PEM."""

    certificates: Mapping[Identity, tuple[bytes, bytes]]
    bundle: bytes


class Catalog:
    """The resources that one model implies. All answers depend on the arguments and the model only."""

    def __init__(self, model: Model, credentials: Credentials) -> None:
        self.model = model
        self._credentials = credentials
        self._tls = TlsSettings.of(model.settings)
        self.directory = Directory(model)
        self._http_ports = tuple(
            sorted({p.name.port for p in model.services.values() if p.protocol.is_http})
        )
        self._inbound: dict[tuple[str, str], tuple[InboundPort, ...]] = {}

    def workload(self, proxy: ProxyIdentity) -> Workload | None:
        """The workload that a proxy serves: known, and of the identity that its certificate says."""
        workload = self.model.workloads.get((proxy.identity.namespace, proxy.workload))
        return workload if workload and workload.identity == proxy.identity else None

    def is_known(self, proxy: ProxyIdentity) -> bool:
        return self.workload(proxy) is not None

    def scope(self, proxy: ProxyIdentity, type_url: str, name: str) -> Hashable:
        """What of a proxy the value of a name depends on; nothing for what is the same for all."""
        match type_url:
            case types.ENDPOINT:
                return None
            case types.CLUSTER if not name.removesuffix(HTTP2_SUFFIX).endswith(LOCAL_SUFFIX):
                return None
            case types.VIRTUAL_HOST:
                return proxy.identity.namespace
            case types.ROUTE if names.parse_outbound_routes(name) is not None:
                return None
            case types.SECRET if name == names.ROOT_CERTIFICATES:
                return None
            case types.SECRET if name == names.SERVICE_CERTIFICATE:
                return proxy.identity
        return proxy

    def names(self, proxy: ProxyIdentity, type_url: str) -> tuple[str, ...]:
        """Everything of a type that is the proxy's own: what it gets without asking by name."""
        workload = self.workload(proxy)
        if workload is None:
            return ()
        if type_url == types.LISTENER:
            return tuple(sorted(self._listeners(workload)))
        if type_url == types.CLUSTER:
            return tuple(sorted(self._local_clusters(workload)))
        return ()

    def value(self, proxy: ProxyIdentity, type_url: str, name: str) -> Value | None:
        """What stands behind a name for this proxy, or None when there is nothing for it."""
        workload = self.workload(proxy)
        if workload is None:
            return None
        match type_url:
            case types.CLUSTER:
                return self._local_clusters(workload).get(name) or self._service_cluster(name)
            case types.ENDPOINT:
                return self._endpoints(name)
            case types.LISTENER:
                return self._listeners(workload).get(name)
            case types.ROUTE:
                return self._routes(workload, name)
            case types.VIRTUAL_HOST:
                return self._virtual_host(workload, name)
            case types.SECRET:
                return self._secret(proxy, name) or self._callers(workload, name)
            case types.EXTENSION:
                return self._tcp_access_by_name(workload, name)
            case types.RUNTIME if name == names.RUNTIME_LAYER:
                return AccessGates(name, open_gates(self._all_tcp_access(workload)))
        return None

    # --- outbound

    def _virtual_host(self, workload: Workload, name: str) -> OutboundHost | None:
        routes, _, authority = name.partition("/")
        number = names.parse_outbound_routes(routes)
        if number is None:
            return None
        port = self.directory.by_authority(authority, number, workload.namespace)
        if port is None or not port.protocol.is_http:
            return None
        rules = tuple(self._outbound_rule(rule) for rule in self.model.routes[port.name].rules)
        return OutboundHost(name, authority.lower(), rules)

    def _outbound_rule(self, rule: RouteRule) -> OutboundRule:
        return OutboundRule(
            clusters=self._weighted(rule),
            origin=rule.origin,
            matches=rule.matches,
            filters=rule.filters,
            timeout_ms=rule.timeout_ms,
        )

    def _weighted(self, rule: RouteRule) -> tuple[tuple[str, int], ...]:
        return tuple(
            (self.model.services[backend.port].cluster_name, backend.weight)
            for backend in rule.backends
            if backend.port in self.model.services
        )

    def _service_cluster(self, name: str) -> ServiceCluster | NowhereCluster | None:
        """A cluster by its own name, or by the address `<ip>:<port>` of a TCP connection."""
        port = self.directory.by_cluster(name) or self.directory.tcp_by_address(name)
        if port is None:
            return NowhereCluster(name) if is_socket_address(name) else None
        return ServiceCluster(
            name=name,
            stat_name=port.cluster_name,
            protocol=port.protocol,
            sni=port.name.service.fqdn,
            identities=port.identities,
            tls=self._tls,
            namespace=port.name.service.namespace,
            service=port.name.service.name,
        )

    def _endpoints(self, name: str) -> Endpoints | None:
        """The endpoints of a cluster have the cluster's name, and no two clusters share them: Envoy
        asks once for a name, and a second cluster would wait for the answer that the first one had,
        with everything on demand behind it (measured with Envoy 1.40).
        """
        port = self.directory.by_cluster(name)
        if port is not None:
            return Endpoints(name, self.model.endpoints.get(port.name, ()))
        port = self.directory.tcp_by_address(name)
        if port is None:
            return None
        members = self.model.endpoints.get(port.name, ())
        if port.headless:
            # One pod was chosen by its address: only that endpoint will do.
            ip = name.rpartition(":")[0]
            members = tuple(
                m for m in members if self.model.workloads[m.namespace, m.workload].ip == ip
            )
        return Endpoints(name, members)

    # --- listeners

    def _listeners(self, workload: Workload) -> dict[str, Value]:
        listeners: dict[str, Value] = {}
        for listener in (*self._outbound(workload), *self._inbound_listeners(workload)):
            name = (
                listener.name
                if not isinstance(listener, OutboundListener)
                else names.OUTBOUND_LISTENER
            )
            listeners[name] = listener
        return listeners

    def _outbound(
        self, workload: Workload
    ) -> list[OutboundListener | ExplicitHttpListener | ExplicitTcpListener]:
        source = SourceLabels(
            workload.namespace, workload.owner_kind, workload.owner_name, workload.name
        )
        if isinstance(workload.capture, Explicit):
            return self._explicit(source, workload.capture)
        exceptions, splits = self._tcp_outbound
        return [OutboundListener(source, self._http_ports, exceptions, splits)]

    @cached_property
    def _tcp_outbound(self) -> tuple[tuple[TcpException, ...], tuple[TcpSplit, ...]]:
        """What the outbound listeners of all workloads have in common beside the HTTP ports."""
        tcp = [p for p in self.model.services.values() if not p.protocol.is_http and p.addresses]
        splits = [(p, self._weighted(self.model.routes[p.name].rules[-1])) for p in sorted(tcp)]
        split = {p.name for p, clusters in splits if clusters != ((p.cluster_name, 1),)}
        # Envoy refuses a listener that says twice what happens to an address: the first split has it.
        taken: set[tuple[int, str]] = set()
        tcp_splits: list[TcpSplit] = []
        for port, clusters in splits:
            ips = tuple(ip for ip in port.addresses if (port.name.port, ip) not in taken)
            if port.name in split and ips:
                tcp_splits.append(TcpSplit(port.name.port, ips, clusters))
                taken.update((port.name.port, ip) for ip in ips)
        exceptions: dict[int, set[str]] = {}
        for port in tcp:
            if port.name.port in self._http_ports and port.name not in split:
                free = {ip for ip in port.addresses if (port.name.port, ip) not in taken}
                exceptions.setdefault(port.name.port, set()).update(free)
        return (
            tuple(
                TcpException(port, tuple(sorted(ips)))
                for port, ips in sorted(exceptions.items())
                if ips
            ),
            tuple(tcp_splits),
        )

    def _explicit(
        self, source: SourceLabels, capture: Explicit
    ) -> list[OutboundListener | ExplicitHttpListener | ExplicitTcpListener]:
        listeners: list[OutboundListener | ExplicitHttpListener | ExplicitTcpListener] = [
            ExplicitHttpListener(
                names.OUTBOUND_LISTENER, source, SocketAddress(capture.ip, capture.http_port)
            )
        ]
        for address, local in capture.tcp_ports:
            port = self.directory.tcp_by_address(address)
            if port is not None:
                rules = self.model.routes[port.name].rules
                listeners.append(
                    ExplicitTcpListener(
                        f"{names.OUTBOUND_LISTENER}.{address}",
                        source,
                        SocketAddress(capture.ip, local),
                        self._weighted(rules[-1]),
                    )
                )
        return listeners

    def _inbound_listeners(self, workload: Workload) -> list[InboundListener]:
        ports = self._inbound_ports(workload)
        if not ports:
            return []
        if not workload.inbound:
            return [redirected_inbound(workload.identity, ports, self._tls)]
        return [
            InboundListener(
                inbound_listener_name(port.port),
                workload.inbound_address(port.port),
                workload.identity,
                (port,),
                self._tls,
            )
            for port in ports
        ]

    # --- the workload's own ports

    def _inbound_ports(self, workload: Workload) -> tuple[InboundPort, ...]:
        """The target ports of the services that select the workload, each with one protocol: the
        first service's by name, where several disagree.
        """
        key = (workload.namespace, workload.name)
        known = self._inbound.get(key)
        if known is None:
            found: dict[int, ServicePort] = {}
            for port in self._ports_in_front_of(workload):
                found.setdefault(port.target_port, port)
            known = tuple(
                InboundPort(target, port.protocol.is_http, _local_name(port))
                for target, port in sorted(found.items())
            )
            self._inbound[key] = known
        return known

    def _ports_in_front_of(self, workload: Workload) -> list[ServicePort]:
        return [
            self.model.services[name]
            for name in self.model.services_of.get((workload.namespace, workload.name), ())
            if self.model.services[name].target_port
        ]

    def _local_clusters(self, workload: Workload) -> dict[str, Value]:
        clusters: dict[str, Value] = {}
        protocols = {p.target_port: p.protocol for p in reversed(self._ports_in_front_of(workload))}
        for port in self._inbound_ports(workload):
            address = SocketAddress(workload.app_ip, port.port)
            http2 = protocols[port.port] in (Protocol.GRPC, Protocol.HTTP2)
            clusters[port.cluster] = LocalCluster(port.cluster, address, http2)
            if port.is_http and not http2:
                # gRPC also works on a port that is only said to be HTTP, as with OSM.
                name = port.cluster + HTTP2_SUFFIX
                clusters[name] = LocalCluster(name, address, http2=True)
        return clusters

    def _routes(self, workload: Workload, name: str) -> OutboundRoutes | InboundRoutes | None:
        if names.parse_outbound_routes(name) is not None:
            return OutboundRoutes(name)
        number = names.parse_port(name, "rds-inbound")
        port = next((p for p in self._inbound_ports(workload) if p.port == number), None)
        if port is None or not port.is_http:
            return None
        has_http2 = port.cluster + HTTP2_SUFFIX in self._local_clusters(workload)
        return InboundRoutes(
            name=name,
            cluster=port.cluster,
            grpc_cluster=port.cluster + HTTP2_SUFFIX if has_http2 else "",
            access=self.http_access(workload.identity, port.port),
        )

    # --- access

    def http_access(self, destination: Identity, port: int) -> HttpAccess:
        """The rules for HTTP to one port of an identity's workloads."""
        if self.model.settings.permissive:
            return HttpAccess(permissive=True)
        rules = self._rules(destination, port)
        return HttpAccess(False, tuple(rule for rule in rules if rule.http is not None))

    def tcp_access(self, destination: Identity, port: int) -> TcpAccess:
        """The rules for TCP to one port of an identity's workloads."""
        rules = self._rules(destination, port)
        return TcpAccess(
            name=names.tcp_access(port),
            port=port,
            trust_domain=self.model.settings.trust_domain,
            permissive=self.model.settings.permissive,
            rules=tuple(rule for rule in rules if rule.http is None),
        )

    def _rules(self, destination: Identity, port: int) -> tuple[AccessRule, ...]:
        return tuple(
            rule
            for rule in self.model.access.get(destination, ())
            if not rule.ports or port in rule.ports
        )

    def _all_tcp_access(self, workload: Workload) -> tuple[TcpAccess, ...]:
        return tuple(
            self.tcp_access(workload.identity, port.port)
            for port in self._inbound_ports(workload)
            if not port.is_http
        )

    def _tcp_access_by_name(self, workload: Workload, name: str) -> TcpAccess | None:
        return next((a for a in self._all_tcp_access(workload) if a.name == name), None)

    def _callers(self, workload: Workload, name: str) -> CallersSecret | None:
        """Whose certificates a TCP port of the workload accepts: those of its rules' sources."""
        number = names.parse_port(name, "tcp-callers")
        access = next((a for a in self._all_tcp_access(workload) if a.port == number), None)
        if access is None:
            return None
        return CallersSecret(
            name,
            self._credentials.bundle,
            access.trust_domain,
            access.permissive,
            tuple(sorted({source for rule in access.rules for source in rule.sources})),
        )

    # --- secrets

    def _secret(self, proxy: ProxyIdentity, name: str) -> CertificateSecret | TrustSecret | None:
        """A proxy's own certificate, whatever it asks for, and nobody else's."""
        if name == names.ROOT_CERTIFICATES:
            return TrustSecret(name, self._credentials.bundle)
        pair = self._credentials.certificates.get(proxy.identity)
        if name == names.SERVICE_CERTIFICATE and pair is not None:
            return CertificateSecret(name, *pair)
        return None


def _local_name(port: ServicePort) -> str:
    return port.cluster_name + LOCAL_SUFFIX
