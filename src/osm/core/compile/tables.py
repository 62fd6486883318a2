"""The tables between objects and model: what front ends read of each other.

Inputs hold what people wrote, by kind. Each derived table has a stage in one of the front ends. A
front end gets the view of all tables, and whatever it looks up there is noted as a dependency.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from osm.core.api.config import MeshConfig
from osm.core.api.extension_service import ExtensionService
from osm.core.api.kubernetes import Namespace, Pod, Service, ServiceAccount
from osm.core.api.manifest import Key, Manifest
from osm.core.api.policy import Egress, IngressBackend, Retry, Telemetry
from osm.core.api.smi import HTTPRouteGroup, TCPRoute, TrafficSplit, TrafficTarget
from osm.core.api.upstream_traffic import UpstreamTrafficSetting
from osm.core.compile.options import CompileOptions
from osm.core.model.access import AccessRule
from osm.core.model.alias import Alias
from osm.core.model.egress import ConnectionEgress, EgressLimits, EgressRules, HttpEgress
from osm.core.model.identity import Identity
from osm.core.model.ingress import IngressRule
from osm.core.model.mesh import Destinations, Settings, WorkloadKey
from osm.core.model.observation import AccessLog
from osm.core.model.origin import Finding
from osm.core.model.retry import RetryKey, RetryPolicy
from osm.core.model.route import Route
from osm.core.model.service import Endpoint, PortName, Protocol, ServiceName, ServicePort
from osm.core.model.upstream import UpstreamLimits
from osm.core.model.workload import Workload

T = TypeVar("T")

ONE = "mesh"
"""The key of tables that have one entry."""

Label = tuple[str, str, str]
"""Namespace, label and its value."""

Owner = tuple[str, str, str]
"""Namespace, kind and name of what made a pod."""

INPUTS: Mapping[type, str] = {
    Namespace: "namespaces",
    Pod: "pods",
    Service: "service_objects",
    ServiceAccount: "service_accounts",
    HTTPRouteGroup: "route_groups",
    TCPRoute: "tcp_routes",
    TrafficTarget: "targets",
    TrafficSplit: "splits",
    MeshConfig: "mesh_configs",
    Egress: "egress_objects",
    IngressBackend: "ingress_objects",
    Retry: "retry_objects",
    UpstreamTrafficSetting: "upstream_settings",
    Telemetry: "telemetry_objects",
    ExtensionService: "extension_services",
}
"""The table of each kind of object; objects of other kinds mean nothing to the compiler."""
OPTIONS = "options"


def input_key(key: Key) -> Hashable:
    """The key that an object has in its table: what the model knows pods by, else the object's."""
    return (key.namespace, key.name) if key.kind == "Pod" else key


class Written(msgspec.Struct, Generic[T], frozen=True):
    """An object as it was written, and where: `file:line`, or empty."""

    object: T
    where: str


def written(manifest: Manifest) -> Written[Any]:
    """Leave out of an object what means nothing: two writings with one meaning are equal."""
    return Written(manifest.object, manifest.where)


class ServiceShape(msgspec.Struct, frozen=True):
    """What a Service says by itself, whoever stands behind it. Only those of the mesh have one."""

    selector: tuple[tuple[str, str], ...]
    cluster_ip: str
    publish_not_ready: bool
    ports: tuple["PortShape", ...]

    @property
    def headless(self) -> bool:
        return self.cluster_ip == "None"


class PortShape(msgspec.Struct, frozen=True):
    """A port of a Service. `target` is a number or the name of a container's port."""

    port: int
    target: int | str
    protocol: Protocol


class AliasRead(msgspec.Struct, frozen=True):
    """What a Service of type ExternalName stands for, if it is anything."""

    alias: Alias | None
    findings: tuple[Finding, ...] = ()


class CompiledService(msgspec.Struct, frozen=True):
    """The service ports of one Service, with the ready endpoints behind each."""

    ports: Mapping[PortName, ServicePort]
    endpoints: Mapping[PortName, tuple[Endpoint, ...]]


class SettingsRead(msgspec.Struct, frozen=True):
    """Settings, and what is wrong with the objects that say them."""

    settings: Settings
    findings: tuple[Finding, ...]


class TargetRules(msgspec.Struct, frozen=True):
    """The access rules of one TrafficTarget; all have one destination."""

    rules: tuple[AccessRule, ...]
    findings: tuple[Finding, ...]


class EgressRead(msgspec.Struct, frozen=True):
    """What one Egress lets its sources call."""

    sources: tuple[Identity, ...]
    http: tuple[HttpEgress, ...] = ()
    connections: tuple[ConnectionEgress, ...] = ()
    limits: EgressLimits | None = None
    findings: tuple[Finding, ...] = ()


class TelemetryReach(msgspec.Struct, frozen=True):
    """Whom a Telemetry is about: `place` is what it is found by, `selector` all labels to have."""

    place: "TelemetryPlace"
    selector: tuple[tuple[str, str], ...] = ()


TelemetryPlace = tuple[str, str, str]
"""A namespace (empty: all), a label and its value (both empty: everybody)."""


class TelemetryChoice(msgspec.Struct, frozen=True):
    """The Telemetry that counts for a workload, and those of equal rank that it prevails over."""

    winner: Key
    others: tuple[Key, ...] = ()


class IngressClaim(msgspec.Struct, frozen=True):
    """What an IngressBackend says of one service's pods."""

    service: Key
    rule: IngressRule


class IngressRead(msgspec.Struct, frozen=True):
    """What one IngressBackend says, when it was made, and where it is written."""

    age: tuple[str, Key]
    where: str
    claims: tuple[IngressClaim, ...]
    findings: tuple[Finding, ...]


class Tables(msgspec.Struct, frozen=True):
    """Every table, in the order in which they depend on each other."""

    options: Mapping[str, CompileOptions]
    namespaces: Mapping[Key, Written[Namespace]]
    pods: Mapping[WorkloadKey, Written[Pod]]
    service_objects: Mapping[Key, Written[Service]]
    service_accounts: Mapping[Key, Written[ServiceAccount]]
    route_groups: Mapping[Key, Written[HTTPRouteGroup]]
    tcp_routes: Mapping[Key, Written[TCPRoute]]
    targets: Mapping[Key, Written[TrafficTarget]]
    splits: Mapping[Key, Written[TrafficSplit]]
    mesh_configs: Mapping[Key, Written[MeshConfig]]
    egress_objects: Mapping[Key, Written[Egress]]
    ingress_objects: Mapping[Key, Written[IngressBackend]]
    retry_objects: Mapping[Key, Written[Retry]]
    upstream_settings: Mapping[Key, Written[UpstreamTrafficSetting]]
    telemetry_objects: Mapping[Key, Written[Telemetry]]
    extension_services: Mapping[Key, Written[ExtensionService]]

    settings_read: Mapping[str, SettingsRead]
    settings: Mapping[str, Settings]
    settings_findings: Mapping[str, tuple[Finding, ...]]
    config_effects: Mapping[Key, tuple[Finding, ...]]

    workloads: Mapping[WorkloadKey, Workload]
    workloads_of: Mapping[Identity, tuple[WorkloadKey, ...]]
    service_shapes: Mapping[Key, ServiceShape]
    services_by_label: Mapping[Label, tuple[Key, ...]]
    selected_by: Mapping[WorkloadKey, tuple[Key, ...]]
    members: Mapping[Key, tuple[WorkloadKey, ...]]
    compiled_services: Mapping[Key, CompiledService]
    aliases_read: Mapping[Key, AliasRead]
    alias_findings: Mapping[Key, tuple[Finding, ...]]
    alias_owners: Mapping[ServiceName, tuple[Key, ...]]
    aliases: Mapping[ServiceName, Alias]
    port_owners: Mapping[PortName, tuple[Key, ...]]
    services: Mapping[PortName, ServicePort]
    endpoints: Mapping[PortName, tuple[Endpoint, ...]]
    services_of: Mapping[WorkloadKey, tuple[PortName, ...]]
    ports_of: Mapping[ServiceName, tuple[PortName, ...]]
    by_address: Mapping[tuple[str, int], tuple[PortName, ...]]
    by_cluster: Mapping[str, tuple[PortName, ...]]

    target_rules: Mapping[Key, TargetRules]
    target_findings: Mapping[Key, tuple[Finding, ...]]
    targets_of: Mapping[Identity, tuple[Key, ...]]
    access: Mapping[Identity, tuple[AccessRule, ...]]

    split_roots: Mapping[Key, ServiceName]
    splits_of: Mapping[ServiceName, tuple[Key, ...]]
    routes: Mapping[PortName, Route]
    split_findings: Mapping[Key, tuple[Finding, ...]]

    retry_pairs: Mapping[Key, tuple[RetryKey, ...]]
    retries_of: Mapping[RetryKey, tuple[Key, ...]]
    retries: Mapping[RetryKey, RetryPolicy]
    retry_findings: Mapping[Key, tuple[Finding, ...]]
    upstream_hosts: Mapping[Key, ServiceName]
    upstreams_of: Mapping[ServiceName, tuple[Key, ...]]
    upstreams: Mapping[ServiceName, UpstreamLimits]
    roots_of: Mapping[PortName, tuple[PortName, ...]]
    egresses_of: Mapping[Key, tuple[Key, ...]]

    authorizer: Mapping[str, PortName]
    authorizers: Mapping[PortName, tuple[str, ...]]
    limiter_ports: Mapping[ServiceName, tuple[PortName, ...]]
    limiters: Mapping[PortName, tuple[ServiceName, ...]]
    asked: Mapping[PortName, tuple[AccessRule, ...]]
    authorizer_findings: Mapping[str, tuple[Finding, ...]]

    egress_read: Mapping[Key, EgressRead]
    egress_findings: Mapping[Key, tuple[Finding, ...]]
    egress_of: Mapping[Identity, tuple[Key, ...]]
    egress: Mapping[Identity, EgressRules]
    egress_clusters: Mapping[str, tuple[Key, ...]]
    egress_limits: Mapping[str, EgressLimits]

    ingress_read: Mapping[Key, IngressRead]
    ingress_claims: Mapping[Key, tuple[Key, ...]]
    ingress: Mapping[WorkloadKey, tuple[IngressRule, ...]]
    ingress_findings: Mapping[Key, tuple[Finding, ...]]
    upstream_findings: Mapping[Key, tuple[Finding, ...]]

    telemetry_reach: Mapping[Key, TelemetryReach]
    telemetries_at: Mapping[TelemetryPlace, tuple[Key, ...]]
    telemetry_logs: Mapping[Key, AccessLog]
    telemetry_choices: Mapping[WorkloadKey, TelemetryChoice]
    telemetry_users: Mapping[Key, tuple[WorkloadKey, ...]]
    access_logs: Mapping[WorkloadKey, AccessLog]
    telemetry_findings: Mapping[Key, tuple[Finding, ...]]
    tracing_findings: Mapping[str, tuple[Finding, ...]]

    http_ports: Mapping[int, tuple[PortName, ...]]
    tcp_services: Mapping[PortName, ServicePort]
    tcp_ports: Mapping[int, tuple[PortName, ...]]
    destinations: Mapping[str, Destinations]

    service_findings: Mapping[Key, tuple[Finding, ...]]
    endpoint_findings: Mapping[Key, tuple[Finding, ...]]
    namespace_findings: Mapping[Key, tuple[Finding, ...]]
    pod_findings: Mapping[WorkloadKey, tuple[Finding, ...]]
    accounts_in: Mapping[str, tuple[Key, ...]]
    account_findings: Mapping[Identity, tuple[Finding, ...]]
    without_proxy: Mapping[Owner, tuple[WorkloadKey, ...]]
    proxy_findings: Mapping[Owner, tuple[Finding, ...]]
    targets_outside: Mapping[Key, tuple[Finding, ...]]
    splits_outside: Mapping[Key, tuple[Finding, ...]]
    egresses_outside: Mapping[Key, tuple[Finding, ...]]
    ingresses_outside: Mapping[Key, tuple[Finding, ...]]
    retries_outside: Mapping[Key, tuple[Finding, ...]]
    limits_outside: Mapping[Key, tuple[Finding, ...]]
    ports_for: Mapping[Identity, tuple[PortName, ...]]
    access_findings: Mapping[Key, tuple[Finding, ...]]
    targets_naming: Mapping[Key, tuple[Key, ...]]
    splits_naming: Mapping[Key, tuple[Key, ...]]
    egresses_naming: Mapping[Key, tuple[Key, ...]]
    ingresses_naming: Mapping[Key, tuple[Key, ...]]
    group_findings: Mapping[Key, tuple[Finding, ...]]
    route_findings: Mapping[Key, tuple[Finding, ...]]
    split_effect_findings: Mapping[Key, tuple[Finding, ...]]
    egress_effect_findings: Mapping[Key, tuple[Finding, ...]]
    retry_effect_findings: Mapping[Key, tuple[Finding, ...]]
    mode_findings: Mapping[Key, tuple[Finding, ...]]
