"""Which resource a proxy gets for a name: from the model, by lookup, nothing built yet.

`Catalog` answers, for one model, what value stands behind an xDS type and name. A value depends on
the name and on its `scope`: nothing of a proxy for what is the same for all, else its identity, or
the proxy itself. Equal values are equal resources, whoever asks.
"""

from collections.abc import Iterator, Mapping

import msgspec

from osm.core.envoy import names
from osm.core.envoy.access import AccessGates, TcpAccess
from osm.core.envoy.cluster import LocalCluster, NowhereCluster, ServiceCluster
from osm.core.envoy.egress_cluster import HostCluster, OriginalCluster
from osm.core.envoy.egress_resources import (
    all_egress_hosts,
    egress_cluster_value,
    egress_host,
    passthrough_host,
)
from osm.core.envoy.endpoint import Endpoints
from osm.core.envoy.extension_cluster import ExtensionCluster, extension_cluster
from osm.core.envoy.inbound import InboundListener
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.envoy.ingress import IngressListener, IngressRoutes
from osm.core.envoy.outbound import ExplicitHttpListener, ExplicitTcpListener, OutboundListener
from osm.core.envoy.own_resources import OwnResources
from osm.core.envoy.route import OutboundHost, OutboundRoutes, UnknownHosts
from osm.core.envoy.secret import CallersSecret, CertificateSecret, TrustSecret
from osm.core.envoy.service_resources import (
    endpoints,
    host_name,
    service_cluster,
    virtual_host,
)
from osm.core.envoy.tls import TlsSettings
from osm.core.envoy.workload_ports import HTTP2_SUFFIX, LOCAL_SUFFIX
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.recorded import AnyModel
from osm.core.model.service import PortName
from osm.core.xds import types

Value = (
    ServiceCluster
    | NowhereCluster
    | LocalCluster
    | HostCluster
    | OriginalCluster
    | ExtensionCluster
    | Endpoints
    | OutboundListener
    | ExplicitHttpListener
    | ExplicitTcpListener
    | InboundListener
    | OutboundRoutes
    | OutboundHost
    | UnknownHosts
    | InboundRoutes
    | IngressListener
    | IngressRoutes
    | TcpAccess
    | AccessGates
    | CertificateSecret
    | TrustSecret
    | CallersSecret
)

Scope = ProxyIdentity | Identity | None


class Certificate(msgspec.Struct, frozen=True, gc=False):
    """An identity's certificate chain and key; both empty when only its proxies have them."""

    chain: bytes
    private_key: bytes
    version: str

    def __repr__(self) -> str:
        return f"Certificate({self.version!r})"


class Present(msgspec.Struct, frozen=True):
    """What the control plane knows beside the model. Certificates and roots are PEM."""

    certificates: Mapping[Identity, Certificate]
    bundle: bytes
    guarded: Mapping[ProxyIdentity, bool] = {}
    """Proxies that have asked for too much that does not exist. They are told what does, and ask no
    more."""


class Catalog:
    """The resources that one model implies. All answers depend on the arguments and the model only."""

    def __init__(self, model: AnyModel, present: Present) -> None:
        self._model = model
        self._present = present

    def is_known(self, proxy: ProxyIdentity) -> bool:
        """Whether there is the workload that a proxy serves, with the identity of its certificate."""
        workload = self._model.workloads.get((proxy.identity.namespace, proxy.workload))
        return workload is not None and workload.identity == proxy.identity

    def scope(self, proxy: ProxyIdentity, type_url: str, name: str) -> Scope:
        """What of a proxy the value of a name depends on; nothing for what is the same for all."""
        match type_url:
            case types.ENDPOINT:
                return None
            case types.CLUSTER if not name.removesuffix(HTTP2_SUFFIX).endswith(LOCAL_SUFFIX):
                return None
            case types.VIRTUAL_HOST if not name.endswith("/*"):
                return proxy.identity
            case types.ROUTE if names.parse_outbound_routes(name) is not None:
                return None
            case types.SECRET if name == names.ROOT_CERTIFICATES:
                return None
            case types.SECRET if name == names.SERVICE_CERTIFICATE:
                # A proxy's own certificate, whatever it asks for, and nobody else's.
                return proxy.identity
        return proxy

    def names(self, proxy: ProxyIdentity, type_url: str) -> tuple[str, ...]:
        """Everything of a type that is the proxy's own: what it gets without asking by name."""
        own = self._own(proxy)
        if own is None:
            return ()
        match type_url:
            case types.LISTENER:
                return tuple(sorted(own.listeners()))
            case types.CLUSTER:
                every = self._all_clusters() if self._is_eager(proxy) else ()
                named = (*own.egress_clusters(), *own.extension_clusters())
                return tuple(sorted({*own.local_clusters(), *named, *every}))
            case types.VIRTUAL_HOST if self._is_guarded(proxy):
                routes = own.outbound_routes()
                beyond = all_egress_hosts(self._model, proxy.identity, routes)
                return tuple(sorted({*self._all_hosts(routes), *beyond}))
        return ()

    def value(self, scope: Scope, type_url: str, name: str) -> Value | None:
        """What stands behind a name for all proxies of a scope, or None when there is nothing."""
        match scope:
            case None:
                return self._shared(type_url, name)
            case Identity() if type_url == types.VIRTUAL_HOST:
                return (
                    virtual_host(self._model, scope, name)
                    or egress_host(self._model, scope, name)
                    or passthrough_host(self._model, scope, name)
                )
            case Identity():
                found = self._present.certificates.get(scope)
                if found is None:
                    return None
                return CertificateSecret(name, found.chain, found.private_key, found.version)
        return self._proxys_own(scope, type_url, name)

    def _proxys_own(self, proxy: ProxyIdentity, type_url: str, name: str) -> Value | None:
        own = self._own(proxy)
        if own is None:
            return None
        match type_url:
            case types.CLUSTER:
                return own.local_clusters().get(name)
            case types.LISTENER:
                return own.listeners().get(name)
            case types.ROUTE:
                return own.inbound_routes(name) or own.ingress_routes(name)
            case types.VIRTUAL_HOST if self._is_guarded(proxy):
                return own.unknown_hosts(name)
            case types.SECRET:
                return own.callers(name, self._present.bundle)
            case types.EXTENSION:
                return own.tcp_access(name)
            case types.RUNTIME if name == names.RUNTIME_LAYER:
                return own.gates(name)
        return None

    def _shared(self, type_url: str, name: str) -> Value | None:
        match type_url:
            case types.CLUSTER:
                tls = TlsSettings.of(self._model.settings)
                found = service_cluster(self._model, tls, name)
                beyond = found or egress_cluster_value(self._model, name)
                return beyond or extension_cluster(name, self._model.settings.gateway)
            case types.ENDPOINT:
                return endpoints(self._model, name)
            case types.ROUTE:
                return OutboundRoutes(name)
            case types.SECRET:
                return TrustSecret(name, self._present.bundle)
        return None

    def _own(self, proxy: ProxyIdentity) -> OwnResources | None:
        workload = self._model.workloads.get((proxy.identity.namespace, proxy.workload))
        if workload is None or workload.identity != proxy.identity:
            return None
        return OwnResources(self._model, workload, guarded=self._is_guarded(proxy))

    # --- what is pushed to proxies that do not ask

    def _is_eager(self, proxy: ProxyIdentity) -> bool:
        """Whether a proxy is to hold all services: by its annotation, else the mesh's settings."""
        workload = self._model.workloads[proxy.identity.namespace, proxy.workload]
        return workload.eager if workload.eager is not None else self._model.settings.eager

    def _is_guarded(self, proxy: ProxyIdentity) -> bool:
        """Whether a proxy knows all names that there are, and asks for no other."""
        return self._is_eager(proxy) or proxy in self._present.guarded

    def _all_clusters(self) -> Iterator[str]:
        """HTTP services by their clusters' names; TCP also by address, which is what connections have."""
        for port in self._model.services.values():
            yield port.cluster_name
            if not port.protocol.is_http:
                yield from (f"{ip}:{port.name.port}" for ip in port.addresses)

    def _all_hosts(self, routes: tuple[str, ...]) -> Iterator[str]:
        """Every HTTP service port, and last what answers for those that do not exist."""
        for each in routes:
            yield f"{each}/*"
            number = names.parse_outbound_routes(each)
            for port in self._model.services.values():
                if port.protocol.is_http and number in (0, port.name.port):
                    yield host_name(each, port.name)
            for service, alias in self._model.aliases.items():
                for name in self._model.ports_of.get(alias.service, ()) if alias.service else ():
                    if self._model.services[name].protocol.is_http and number in (0, name.port):
                        yield host_name(each, PortName(service, name.port))
