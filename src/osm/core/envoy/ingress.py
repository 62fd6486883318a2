"""What comes from outside of the mesh: chains beside those for other proxies, and who may send what.

Who may call is decided by the routes, as for the mesh's own traffic (`access`): an IngressBackend that
is withdrawn counts for the next request on connections that live already, and an address that comes
or goes behind a source changes no listener. The chains know only what must be known before that:
whether it is TLS, for which server names, and whether a certificate is demanded.

The callers' addresses are those of their connections. What they say of themselves
(`x-forwarded-for`) is passed on to the application and believed by nobody.
"""

import msgspec
from google.protobuf.wrappers_pb2 import UInt32Value

from osm._envoy.envoy.config.core.v3 import address_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.config.route.v3 import route_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from osm._envoy.envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.ssl.v3 import ssl_inputs_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2, string_pb2
from osm.core.envoy.access import HttpAccess
from osm.core.envoy.address import envoy_address
from osm.core.envoy.cluster import NOWHERE
from osm.core.envoy.connection_limits import ConnectionLimits, limit_connections
from osm.core.envoy.connection_manager import http_connection_manager
from osm.core.envoy.filters.denials import DenialContext, denied_answer, http_denial_logs
from osm.core.envoy.filters.external_authorization import (
    AskedAuthorizer,
    external_authorization,
)
from osm.core.envoy.filters.global_rate_limit import http_global_limit
from osm.core.envoy.filters.internal_headers import internal_headers
from osm.core.envoy.filters.rate_limit import http_rate_limit
from osm.core.envoy.filters.rbac import http_rbac
from osm.core.envoy.filters.request_path import request_path
from osm.core.envoy.inbound_host import InboundHost
from osm.core.envoy.inbound_routes import InboundRoutes, build_inbound_routes
from osm.core.envoy.matching import (
    Predicate,
    act,
    all_of,
    deny,
    dns_input,
    regex_fits,
    request_predicates,
    single,
    typed_input,
    uri_input,
)
from osm.core.envoy.names import ingress_routes
from osm.core.envoy.observation import NOTHING, Observation
from osm.core.envoy.route import RBAC_FILTER
from osm.core.envoy.tls import TlsSettings, downstream_tls, server_tls
from osm.core.model.identity import Identity
from osm.core.model.ingress import ANY_PRINCIPAL, IngressRule
from osm.core.model.workload import Address

NO_INGRESS = "no-ingress"
NO_INGRESS_FOR_ADDRESS = "no-ingress-for-address"
NO_INGRESS_FOR_PRINCIPAL = "no-ingress-for-principal"
NO_INGRESS_FOR_REQUEST = "no-ingress-for-request"

CALLER = (
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% [%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN%]"
)

Chain = listener_components_pb2.FilterChain


class IngressPort(msgspec.Struct, frozen=True, order=True, gc=False):
    """What must be known of a port's callers before their first request."""

    port: int
    tls: bool
    client_certificate: bool
    server_names: tuple[str, ...]
    limits: ConnectionLimits = ConnectionLimits()

    @classmethod
    def of(cls, rule: IngressRule, limits: ConnectionLimits) -> "IngressPort":
        return cls(rule.port, rule.tls, rule.client_certificate, rule.server_names, limits)


class IngressListener(msgspec.Struct, frozen=True, gc=False):
    """A listener for one port, where nothing is redirected. Whoever forwards to it says who calls, by
    the PROXY protocol (HAProxy's, version 1 or 2).
    """

    name: str
    address: Address
    identity: Identity
    port: IngressPort
    tls: TlsSettings
    observation: Observation = NOTHING


class IngressRoutes(msgspec.Struct, frozen=True, gc=False):
    """Requests from outside for one port of a workload. Without a rule all are refused: connections
    may be older than the rule's withdrawal.
    """

    name: str
    cluster: str = NOWHERE
    grpc_cluster: str = ""
    rule: IngressRule | None = None
    hosts: tuple[InboundHost, ...] = ()
    authorizer: AskedAuthorizer | None = None


def build_ingress_listener(value: IngressListener) -> listener_pb2.Listener:
    """Build the listener of one port."""
    listener = listener_pb2.Listener(
        name=value.name,
        address=envoy_address(value.address),
        traffic_direction="INBOUND",
        filter_chains=[ingress_chain(value.identity, value.port, value.tls, value.observation)],
    )
    protocol = listener.listener_filters.add(name="envoy.filters.listener.proxy_protocol")
    protocol.typed_config.Pack(proxy_protocol_pb2.ProxyProtocol())
    inspect_tls(listener)
    return listener


def inspect_tls(listener: listener_pb2.Listener) -> None:
    """Let filter chains be chosen by what a TLS client says first."""
    inspector = listener.listener_filters.add(name="envoy.filters.listener.tls_inspector")
    inspector.typed_config.Pack(tls_inspector_pb2.TlsInspector())


def ingress_chain(
    identity: Identity,
    port: IngressPort,
    tls: TlsSettings,
    observation: Observation,
    *,
    redirected: bool = False,
) -> Chain:
    """The filter chain of one port; with `redirected` among those of other ports."""
    chain = Chain(name=f"ingress_{port.port}_{'https' if port.tls else 'http'}")
    match = chain.filter_chain_match
    match.transport_protocol = "tls" if port.tls else "raw_buffer"
    match.server_names.extend(port.server_names)
    if redirected:
        match.destination_port.CopyFrom(UInt32Value(value=port.port))
    if port.tls:
        alpn = ("h2", "http/1.1")
        chain.transport_socket.CopyFrom(
            downstream_tls(tls.for_outside, alpn=alpn, anyone=True)
            if port.client_certificate
            else server_tls(tls.for_outside, alpn=alpn)
        )
        chain.transport_socket_connect_timeout.FromSeconds(10)
    context = DenialContext(identity, port.port)
    chain.filters.extend(limit_connections(port.limits))
    chain.filters.append(
        http_connection_manager(
            stat_prefix=f"ingress_{port.port}",
            routes=ingress_routes(port.port),
            filters=(
                request_path(),
                http_rbac(),
                http_rate_limit(),
                external_authorization(),
                http_global_limit(),
            ),
            early_mutations=(internal_headers(),),
            access_logs=http_denial_logs(context, caller=CALLER),
            observation=observation,
            inbound=True,
            from_outside=True,
            local_replies=denied_answer(context, caller=CALLER),
        )
    )
    return chain


def build_ingress_routes(value: IngressRoutes) -> route_pb2.RouteConfiguration:
    """Every authority is taken; the rule decides."""
    nobody = HttpAccess(permissive=False)
    config = build_inbound_routes(
        InboundRoutes(
            value.name, value.cluster, value.grpc_cluster, nobody, value.hosts, value.authorizer
        )
    )
    if value.rule is None:
        matcher = matcher_pb2.Matcher(on_no_match=deny(NO_INGRESS))
    else:
        matcher = _decision(value.rule)
    rbac = http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(matcher=matcher))
    config.typed_per_filter_config[RBAC_FILTER].Pack(rbac, deterministic=True)
    return config


def _decision(rule: IngressRule) -> matcher_pb2.Matcher:
    """First what refuses, each with its reason, then what allows."""
    if rule.addresses == ():
        return matcher_pb2.Matcher(on_no_match=deny(NO_INGRESS_FOR_ADDRESS))
    if rule.principals == ():
        return matcher_pb2.Matcher(on_no_match=deny(NO_INGRESS_FOR_PRINCIPAL))
    cases: list[tuple[Predicate, matcher_pb2.Matcher.OnMatch]] = []
    if rule.addresses is not None:
        cases.append((_not(_from_one_of(rule.addresses)), deny(NO_INGRESS_FOR_ADDRESS)))
    if rule.principals is not None:
        cases.append((_not(_shows_one_of(rule.principals)), deny(NO_INGRESS_FOR_PRINCIPAL)))
    allow = act(rule.name, rbac_pb2.RBAC.ALLOW)
    end = allow if rule.matches is None else deny(NO_INGRESS_FOR_REQUEST)
    for match in rule.matches or ():
        predicates = request_predicates(match.http)
        if predicates:
            cases.append((all_of(predicates), allow))
        else:
            end = allow
    if not cases:
        return matcher_pb2.Matcher(on_no_match=end)
    return matcher_pb2.Matcher(
        matcher_list=matcher_pb2.Matcher.MatcherList(
            matchers=[
                matcher_pb2.Matcher.MatcherList.FieldMatcher(predicate=predicate, on_match=then)
                for predicate, then in cases
            ]
        ),
        on_no_match=end,
    )


def _not(predicate: Predicate) -> Predicate:
    return Predicate(not_matcher=predicate)


def _any(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return Predicate(or_matcher=Predicate.PredicateList(predicate=predicates))


def _from_one_of(ranges: tuple[str, ...]) -> Predicate:
    """The connection comes from one of the ranges."""
    matcher = ip_pb2.Ip(stat_prefix="ingress")
    for text in ranges:
        ip, _, length = text.partition("/")
        cidr = address_pb2.CidrRange(address_prefix=ip)
        cidr.prefix_len.value = int(length)
        matcher.cidr_ranges.append(cidr)
    return Predicate(
        single_predicate=Predicate.SinglePredicate(
            input=typed_input("address", network_inputs_pb2.SourceIPInput()),
            custom_match=typed_input("ranges", matcher),
        )
    )


def _shows_one_of(principals: tuple[str, ...]) -> Predicate:
    """The caller's certificate has one of the names."""
    if ANY_PRINCIPAL in principals:
        # A proxy's bootstrap certificate is worth nothing but to the control plane.
        bootstrap = regex_fits(uri_input(), "(?:.*,)?spiffe://[^,/]+/proxy/.*")
        return all_of([_any_name(), _not(bootstrap)])
    return _any([_shows(name) for name in principals])


def _any_name() -> Predicate:
    """Some certificate was shown."""
    shown = (uri_input(), dns_input(), typed_input("subject", ssl_inputs_pb2.SubjectInput()))
    return _any([regex_fits(each, ".+") for each in shown])


def _shows(name: str) -> Predicate:
    """One of the certificate's names is this one. Envoy gives several as one text, with commas."""
    given = uri_input() if "://" in name else dns_input()
    return _any(
        [
            single(given, string_pb2.StringMatcher(exact=name)),
            single(given, string_pb2.StringMatcher(prefix=name + ",")),
            single(given, string_pb2.StringMatcher(suffix="," + name)),
            single(given, string_pb2.StringMatcher(contains="," + name + ",")),
        ]
    )
