"""The model: what one snapshot of objects means, whole."""

from collections.abc import Mapping

import msgspec

from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding
from osm.core.model.route import Route
from osm.core.model.service import Endpoint, PortName, ServicePort
from osm.core.model.workload import Workload


class Settings(msgspec.Struct, frozen=True, order=True, gc=False):
    """What MeshConfig says of the proxies' configuration."""

    permissive: bool = False
    trust_domain: str = "cluster.local"
    tls_minimum: str = "TLSv1_3"
    tls_maximum: str = "TLSv1_3"
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """What a snapshot means. Every mapping is read-only and complete."""

    settings: Settings
    workloads: Mapping[tuple[str, str], Workload]
    """By namespace and name."""
    services: Mapping[PortName, ServicePort]
    routes: Mapping[PortName, Route]
    """One for each service port."""
    endpoints: Mapping[PortName, tuple[Endpoint, ...]]
    services_of: Mapping[tuple[str, str], tuple[PortName, ...]]
    """The service ports that select a workload, sorted."""
    access: Mapping[Identity, tuple[AccessRule, ...]]
    """By destination. Rules of permissive mode are not listed: `settings.permissive` says it."""
    findings: tuple[Finding, ...] = ()
