"""The model: what one snapshot of objects means, whole."""

from collections.abc import Collection, Mapping

import msgspec

from osm.core.model.access import AccessRule
from osm.core.model.alias import Alias
from osm.core.model.authorization import Authorization
from osm.core.model.egress import EgressLimits, EgressRules
from osm.core.model.identity import Identity
from osm.core.model.ingress import IngressRule
from osm.core.model.observation import AccessLog, Tracing
from osm.core.model.origin import Finding
from osm.core.model.retry import RetryKey, RetryPolicy
from osm.core.model.route import Route
from osm.core.model.service import Endpoint, PortName, ServiceName, ServicePort
from osm.core.model.upstream import UpstreamLimits
from osm.core.model.workload import Workload

WorkloadKey = tuple[str, str]
"""Namespace and name."""


class Settings(msgspec.Struct, frozen=True, order=True, gc=False):
    """What MeshConfig and the platform say of the proxies' configuration."""

    permissive: bool = False
    trust_domain: str = "cluster.local"
    tls_minimum: str = "TLSv1_3"
    tls_maximum: str = "TLSv1_3"
    ingress_tls_minimum: str = "TLSv1_2"
    """For those who call from outside: the usual gateways offer no more unless they are told to."""
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    retries: bool = False
    """Whether Retry counts."""
    eager: bool = False
    """Proxies hold all services at once, and do not ask when they need one."""
    egress: bool = False
    """Everybody may call everything that the mesh does not know."""
    authorization: Authorization | None = None
    """Who else is asked whether a request may pass."""
    gateway: str = ""
    """The unix socket by which proxies reach beyond the mesh; empty: they have a way of their own."""
    certificate_validity_s: int = 86400
    """How long certificates of workloads are valid that are issued from now on."""
    proxies_at_most: int = 0
    """How many proxies one control plane serves; 0: no limit."""
    health_checks: bool = False
    """Proxies check the proxies that they call."""
    application_at_pod_ip: bool = False
    """Applications are called at their pods' addresses, not at 127.0.0.1."""
    former_proxies: bool = False
    """Proxies of OSM v1 are about, whose certificates name identities by DNS names alone."""
    tracing: Tracing | None = None
    """Where spans of requests go; None: there are none."""
    log_level: str = "info"
    """Of the control plane, in OSM's words."""
    proxy_log_level: str = "error"
    """Of proxies that start from now on, in Envoy's words."""


class Destinations(msgspec.Struct, frozen=True, gc=False):
    """How a proxy understands where a connection goes, before it knows the service.

    A port of `http_ports` speaks HTTP, but for the addresses in `tcp_exceptions` (port and
    addresses); everything else is TCP. `tcp_splits` are TCP service ports that are split: port,
    addresses, name.
    """

    http_ports: tuple[int, ...] = ()
    tcp_exceptions: tuple[tuple[int, tuple[str, ...]], ...] = ()
    tcp_splits: tuple[tuple[int, tuple[str, ...], PortName], ...] = ()


class Model(msgspec.Struct, frozen=True):
    """What a snapshot means. Every mapping is read-only and complete."""

    settings: Settings
    destinations: Destinations
    workloads: Mapping[WorkloadKey, Workload] = {}
    workloads_of: Mapping[Identity, tuple[WorkloadKey, ...]] = {}
    services: Mapping[PortName, ServicePort] = {}
    ports_of: Mapping[ServiceName, tuple[PortName, ...]] = {}
    aliases: Mapping[ServiceName, Alias] = {}
    """Services that are another name for something."""
    by_address: Mapping[tuple[str, int], tuple[PortName, ...]] = {}
    """Service ports by IP address and port, sorted."""
    by_cluster: Mapping[str, tuple[PortName, ...]] = {}
    """Service ports by the name of their cluster, sorted."""
    tcp_ports: Mapping[int, tuple[PortName, ...]] = {}
    """Service ports that speak TCP at addresses of their own, by port, sorted."""
    routes: Mapping[PortName, Route] = {}
    """One for each service port."""
    endpoints: Mapping[PortName, tuple[Endpoint, ...]] = {}
    services_of: Mapping[WorkloadKey, tuple[PortName, ...]] = {}
    """The service ports that select a workload, sorted."""
    access: Mapping[Identity, tuple[AccessRule, ...]] = {}
    """By destination. Rules of permissive mode are not listed: `settings.permissive` says it."""
    asked: Mapping[PortName, tuple[AccessRule, ...]] = {}
    """Service ports that proxies themselves ask (of permission, of limits), and who may."""
    ingress: Mapping[WorkloadKey, tuple[IngressRule, ...]] = {}
    """What a workload's ports take from outside of the mesh: one rule for each, sorted by port."""
    retries: Mapping[RetryKey, RetryPolicy] = {}
    """Callers and services for whom somebody has said how requests are retried."""
    upstreams: Mapping[ServiceName, UpstreamLimits] = {}
    """Services for which somebody has set limits."""
    roots_of: Mapping[PortName, tuple[PortName, ...]] = {}
    """By service port: those whose traffic a split gives to it, sorted."""
    egress: Mapping[Identity, EgressRules] = {}
    """What may be called beyond the mesh, by who calls. With `settings.egress` nothing is listed."""
    egress_clusters: Mapping[str, Collection[object]] = {}
    """The clusters beyond the mesh that some identity may call."""
    egress_limits: Mapping[str, EgressLimits] = {}
    access_logs: Mapping[WorkloadKey, AccessLog] = {}
    """Workloads whose proxies log each request and connection."""
    findings: tuple[Finding, ...] = ()
