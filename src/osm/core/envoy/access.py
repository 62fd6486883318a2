"""Access rules as Envoy's matchers: by identity first, in one map, then by request.

A map over the caller's SPIFFE ID costs the same for one source as for two thousand, where a list of
principals is walked for each request (measured). For HTTP the matcher is part of the route
configuration, so that a change takes effect with the next request. For TCP it is an extension
configuration of its own (ECDS), and each grant also has a runtime key, its *gate*: closing the gate
ends the connections that live on it with their next byte, and touches no other (measured with Envoy
1.40: live connections keep the filter configuration that they began with).
"""

import hashlib
from collections.abc import Iterable

import msgspec
from google.protobuf.struct_pb2 import Struct, Value

from osm._envoy.envoy.config.core.v3 import base_pb2, extension_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.runtime_fraction.v3 import (
    runtime_fraction_pb2,
)
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.matching import (
    OnMatch,
    Predicate,
    act,
    all_of,
    deny,
    first_of,
    quote,
    regex_fits,
    request_predicates,
    typed_input,
    uri_input,
)
from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.route import HttpMatch

NO_RULE_FOR_SOURCE = "no-access-rule-for-source"
NO_RULE_FOR_REQUEST = "no-access-rule-for-request"
PERMISSIVE = "permissive-mode"


class HttpAccess(msgspec.Struct, frozen=True, gc=False):
    """Who may send what to one port of one identity's workloads. `permissive`: everyone everything."""

    permissive: bool
    rules: tuple[AccessRule, ...] = ()


class TcpAccess(msgspec.Struct, frozen=True, gc=False):
    """Who may open connections to one TCP port of one identity's workloads."""

    name: str
    port: int
    trust_domain: str
    permissive: bool
    rules: tuple[AccessRule, ...] = ()


class AccessGates(msgspec.Struct, frozen=True, gc=False):
    """The gates of a proxy that are open."""

    name: str
    open: tuple[str, ...]


def gate(port: int, source: Identity | None) -> str:
    """The runtime key of one grant; `source` None is permissive mode's."""
    who = (
        hashlib.blake2b(source.spiffe_id.encode(), digest_size=10).hexdigest() if source else "any"
    )
    return f"osm.tcp.{port}.{who}"


def open_gates(access: Iterable[TcpAccess]) -> tuple[str, ...]:
    """All gates of these ports. Permissive mode keeps those of the rules open beside its own."""
    keys = {gate(a.port, source) for a in access for rule in a.rules for source in rule.sources}
    keys |= {gate(a.port, None) for a in access if a.permissive}
    return tuple(sorted(keys))


def http_access_per_route(value: HttpAccess) -> http_rbac_pb2.RBACPerRoute:
    """The RBAC of a route configuration. TLS has made sure that the caller has an identity."""
    if value.permissive:
        matcher = matcher_pb2.Matcher(on_no_match=act(PERMISSIVE, rbac_pb2.RBAC.ALLOW))
    else:
        matcher = _by_identity(
            {source: _http_decision(rules) for source, rules in _by_source(value.rules).items()}
        )
        everybodys = [rule for rule in value.rules if rule.anyone]
        if everybodys:
            matcher.on_no_match.CopyFrom(_http_decision(everybodys, NO_RULE_FOR_SOURCE))
    return http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(matcher=matcher))


def build_tcp_access(value: TcpAccess) -> extension_pb2.TypedExtensionConfig:
    """The network RBAC filter of one port, evaluated again with each piece of data."""
    if value.permissive:
        pattern = f"spiffe://{quote(value.trust_domain)}/ns/.*"
        matcher = first_of(
            [
                (
                    all_of([regex_fits(uri_input(), pattern), _gate_open(gate(value.port, None))]),
                    PERMISSIVE,
                )
            ]
        )
        matcher.on_no_match.CopyFrom(deny(NO_RULE_FOR_SOURCE))
    else:
        matcher = _by_identity(
            {
                source: _tcp_decision(rules[0].name, gate(value.port, source))
                for source, rules in _by_source(value.rules).items()
            }
        )
    rbac = network_rbac_pb2.RBAC(
        matcher=matcher,
        stat_prefix=f"{value.name}.",
        enforcement_type=network_rbac_pb2.RBAC.CONTINUOUS,
    )
    config = extension_pb2.TypedExtensionConfig(name=value.name)
    config.typed_config.Pack(rbac, deterministic=True)
    return config


def build_gates(value: AccessGates) -> rtds_pb2.Runtime:
    """Build the runtime layer in which the open gates are set."""
    layer = Struct(fields={key: Value(number_value=100) for key in value.open})
    return rtds_pb2.Runtime(name=value.name, layer=layer)


def _by_source(rules: tuple[AccessRule, ...]) -> dict[Identity, list[AccessRule]]:
    """The rules of each identity that one names, with those for everybody."""
    found: dict[Identity, list[AccessRule]] = {}
    for rule in rules:
        for source in rule.sources:
            found.setdefault(source, []).append(rule)
    for rules_of_source in found.values():
        rules_of_source += [rule for rule in rules if rule.anyone]
    return {source: found[source] for source in sorted(found)}


def _by_identity(decisions: dict[Identity, OnMatch]) -> matcher_pb2.Matcher:
    matcher = matcher_pb2.Matcher(on_no_match=deny(NO_RULE_FOR_SOURCE))
    if decisions:
        matcher.matcher_tree.input.CopyFrom(uri_input())
        for source, decision in decisions.items():
            matcher.matcher_tree.exact_match_map.map[source.spiffe_id].CopyFrom(decision)
    return matcher


def _http_decision(rules: list[AccessRule], refusal: str = NO_RULE_FOR_REQUEST) -> OnMatch:
    cases: list[tuple[Predicate, str]] = []
    for rule in rules:
        if rule.http is not None and rule.http.query:
            continue  # Envoy's RBAC cannot look at the query: what cannot be said grants nothing.
        predicates = request_predicates(rule.http or HttpMatch())
        if not predicates:
            return act(rule.name, rbac_pb2.RBAC.ALLOW)
        cases.append((all_of(predicates), rule.name))
    if not cases:
        return deny(refusal)
    matcher = first_of(cases)
    matcher.on_no_match.CopyFrom(deny(refusal))
    return OnMatch(matcher=matcher)


def _tcp_decision(name: str, key: str) -> OnMatch:
    matcher = first_of([(_gate_open(key), name)])
    matcher.on_no_match.CopyFrom(deny(NO_RULE_FOR_SOURCE))
    return OnMatch(matcher=matcher)


def _gate_open(key: str) -> Predicate:
    fraction = runtime_fraction_pb2.RuntimeFraction(
        runtime_fraction=base_pb2.RuntimeFractionalPercent(runtime_key=key)
    )
    # Without the key nothing passes. (An unset default would let everything through.)
    fraction.runtime_fraction.default_value.numerator = 0
    fraction.runtime_fraction.default_value.SetInParent()
    return Predicate(
        single_predicate=Predicate.SinglePredicate(
            input=uri_input(), custom_match=typed_input("gate", fraction)
        )
    )
