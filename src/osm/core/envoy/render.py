"""From a value to the resource that goes over the wire, each value once."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from osm.core.envoy.access import AccessGates, TcpAccess, build_gates, build_tcp_access
from osm.core.envoy.catalog import Value
from osm.core.envoy.cluster import (
    LocalCluster,
    NowhereCluster,
    ServiceCluster,
    build_local_cluster,
    build_nowhere_cluster,
    build_service_cluster,
)
from osm.core.envoy.egress_cluster import (
    HostCluster,
    OriginalCluster,
    build_host_cluster,
    build_original_cluster,
)
from osm.core.envoy.endpoint import Endpoints, build_endpoints
from osm.core.envoy.extension_cluster import ExtensionCluster, build_extension_cluster
from osm.core.envoy.filters.external_authorization import AskedAuthorizer
from osm.core.envoy.inbound import InboundListener, build_inbound_listener
from osm.core.envoy.inbound_host import InboundHost
from osm.core.envoy.inbound_routes import InboundRoutes, build_inbound_routes
from osm.core.envoy.ingress import (
    IngressListener,
    IngressRoutes,
    build_ingress_listener,
    build_ingress_routes,
)
from osm.core.envoy.names import OUTBOUND_LISTENER
from osm.core.envoy.outbound import (
    ExplicitHttpListener,
    ExplicitTcpListener,
    OutboundListener,
    build_explicit_http_listener,
    build_explicit_tcp_listener,
    build_outbound_listener,
)
from osm.core.envoy.route import (
    OutboundHost,
    OutboundRoutes,
    UnknownHosts,
    build_outbound_host,
    build_outbound_routes,
    build_unknown_hosts,
)
from osm.core.envoy.secret import (
    CallersSecret,
    CertificateSecret,
    TrustSecret,
    build_callers_secret,
    build_certificate_secret,
    build_trust_secret,
)
from osm.core.model.authorization import AUTHORIZATION_ORIGIN
from osm.core.model.ingress import IngressRule
from osm.core.model.origin import Origin
from osm.core.xds.resource import Resource, make_resource

# A builder and a value's type belong together; the table's own type cannot say so.
_BUILDERS: dict[type, Callable[[Any], Message]] = {
    ServiceCluster: build_service_cluster,
    LocalCluster: build_local_cluster,
    HostCluster: build_host_cluster,
    OriginalCluster: build_original_cluster,
    ExtensionCluster: build_extension_cluster,
    NowhereCluster: build_nowhere_cluster,
    Endpoints: build_endpoints,
    OutboundListener: build_outbound_listener,
    ExplicitHttpListener: build_explicit_http_listener,
    ExplicitTcpListener: build_explicit_tcp_listener,
    InboundListener: build_inbound_listener,
    OutboundRoutes: build_outbound_routes,
    OutboundHost: build_outbound_host,
    UnknownHosts: build_unknown_hosts,
    InboundRoutes: build_inbound_routes,
    IngressListener: build_ingress_listener,
    IngressRoutes: build_ingress_routes,
    TcpAccess: build_tcp_access,
    AccessGates: build_gates,
    CertificateSecret: build_certificate_secret,
    TrustSecret: build_trust_secret,
    CallersSecret: build_callers_secret,
}


def build(value: Value) -> Message:
    """Envoy's message for a value."""
    return _BUILDERS[type(value)](value)


def render(value: Value) -> Resource:
    """The resource for a value: same value, same bytes."""
    if isinstance(value, CertificateSecret):
        message = build(value) if value.certificate else None
        return make_resource(value.name, message, version=value.version)
    name = OUTBOUND_LISTENER if isinstance(value, OutboundListener) else value.name
    aliases = value.aliases if isinstance(value, OutboundHost) else ()
    endpoints = value.name if isinstance(value, ServiceCluster) else ""
    return make_resource(
        name,
        build(value),
        aliases=aliases,
        origins=origins(value),
        endpoints=endpoints,
        placeholder=isinstance(value, NowhereCluster),
    )


def origins(value: Value) -> tuple[Origin, ...]:
    """The objects that a value came from: whom to tell when a proxy refuses it."""
    match value:
        case OutboundHost(rules=rules):
            return tuple(
                sorted(
                    {rule.origin for rule in rules}
                    | {rule.retry.origin for rule in rules if rule.retry}
                )
            )
        case ServiceCluster(origin=Origin() as origin):
            return (origin,)
        case HostCluster(limits=beyond) | OriginalCluster(limits=beyond) if beyond.origin:
            return (beyond.origin,)
        case OutboundListener(origins=origins, observation=told):
            return tuple(sorted({*origins, *told.origins}))
        case (
            InboundListener(observation=told)
            | IngressListener(observation=told)
            | ExplicitHttpListener(observation=told)
            | ExplicitTcpListener(observation=told)
        ):
            return told.origins
        case InboundRoutes(access=access, hosts=hosts, authorizer=authorizer):
            found = {rule.match_origin or rule.origin for rule in access.rules}
            return tuple(sorted(found | _others(hosts, authorizer)))
        case IngressRoutes(rule=IngressRule() as rule, hosts=hosts, authorizer=authorizer):
            found = {rule.origin, *(match.origin for match in rule.matches or ())}
            return tuple(sorted(found | _others(hosts, authorizer)))
        case TcpAccess(rules=rules):
            return tuple(sorted({rule.origin for rule in rules}))
    return ()


def _others(hosts: tuple[InboundHost, ...], authorizer: AskedAuthorizer | None) -> set[Origin]:
    """Of limits, and of who else is asked."""
    limits = {origin for host in hosts for origin in host.origins}
    return limits | ({AUTHORIZATION_ORIGIN} if authorizer else set())
