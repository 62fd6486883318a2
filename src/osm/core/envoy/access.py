"""Access rules as Envoy's matchers: by identity first, in one map, then by request.

As long as proxies of OSM are about (`former_proxies`), a second map has the DNS names of their
certificates (`former`). Only who shows no URI gets there: a name beside a URI is nobody's.

A map over the caller's SPIFFE ID costs the same for one source as for two thousand, where a list of
principals is walked for each request (measured). For HTTP the matcher is part of the route
configuration, so that a change takes effect with the next request. For TCP it is an extension
configuration of its own (ECDS), and each grant also has a runtime key, its *gate*: closing the gate
ends the connections that live on it with their next byte, and touches no other (measured with Envoy
1.40: live connections keep the filter configuration that they began with).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

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
from osm._envoy.xds.core.v3 import extension_pb2 as xds_extension_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.former import former_name, former_names
from osm.core.envoy.matching import (
    OnMatch,
    Predicate,
    act,
    all_of,
    deny,
    dns_input,
    first_of,
    no_uri,
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
    """Who may send what to one port of one identity's workloads. `permissive`: everyone everything.
    `former_proxies`: as in `Settings`.
    """

    permissive: bool
    rules: tuple[AccessRule, ...] = ()
    former_proxies: bool = False


class TcpAccess(msgspec.Struct, frozen=True, gc=False):
    """Who may open connections to one TCP port of one identity's workloads. `former_proxies`: as in
    `Settings`.
    """

    name: str
    port: int
    trust_domain: str
    permissive: bool
    rules: tuple[AccessRule, ...] = ()
    former_proxies: bool = False


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
        decisions = {s: _http_decision(rules) for s, rules in _by_source(value.rules).items()}
        everybodys = [rule for rule in value.rules if rule.anyone]
        others = (
            _http_decision(everybodys, NO_RULE_FOR_SOURCE)
            if everybodys
            else deny(NO_RULE_FOR_SOURCE)
        )
        matcher = _by_identity(decisions, decisions if value.former_proxies else {}, others)
    return http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(matcher=matcher))


def build_tcp_access(value: TcpAccess) -> extension_pb2.TypedExtensionConfig:
    """The network RBAC filter of one port, evaluated again with each piece of data."""
    others = deny(NO_RULE_FOR_SOURCE)
    if value.permissive:
        matcher = first_of([(predicate, PERMISSIVE) for predicate in _every_workload(value)])
        matcher.on_no_match.CopyFrom(others)
    else:
        matcher = _by_identity(
            _tcp_decisions(value, uri_input()),
            _tcp_decisions(value, dns_input()) if value.former_proxies else {},
            others,
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


def _by_identity(
    decisions: Mapping[Identity, OnMatch], former: Mapping[Identity, OnMatch], others: OnMatch
) -> matcher_pb2.Matcher:
    """Decide by the caller's URI; where there is none, `former` by its DNS name."""
    names = {former_name(source): decision for source, decision in former.items()}
    names.pop("", None)
    if names:
        by_name = OnMatch(matcher=_by_text(dns_input(), names, others))
        without_uri = matcher_pb2.Matcher(on_no_match=others)
        without_uri.matcher_list.matchers.add(predicate=no_uri(), on_match=by_name)
        others = OnMatch(matcher=without_uri)
    return _by_text(uri_input(), {s.spiffe_id: d for s, d in decisions.items()}, others)


def _by_text(
    given: xds_extension_pb2.TypedExtensionConfig, decisions: Mapping[str, OnMatch], others: OnMatch
) -> matcher_pb2.Matcher:
    matcher = matcher_pb2.Matcher(on_no_match=others)
    if decisions:
        matcher.matcher_tree.input.CopyFrom(given)
        for text, decision in decisions.items():
            matcher.matcher_tree.exact_match_map.map[text].CopyFrom(decision)
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


def _every_workload(value: TcpAccess) -> Iterator[Predicate]:
    """Permissive mode's callers: one of these holds for each."""
    key = gate(value.port, None)
    uris = f"spiffe://{quote(value.trust_domain)}/ns/.*"
    yield all_of([regex_fits(uri_input(), uris), _gate_open(uri_input(), key)])
    if value.former_proxies:
        fits = regex_fits(dns_input(), former_names(value.trust_domain))
        yield all_of([no_uri(), fits, _gate_open(dns_input(), key)])


def _tcp_decisions(
    value: TcpAccess, given: xds_extension_pb2.TypedExtensionConfig
) -> dict[Identity, OnMatch]:
    """Of each source, told by `given`: a grant has one gate, whatever its source's certificate."""
    return {
        source: _tcp_decision(rules[0].name, _gate_open(given, gate(value.port, source)))
        for source, rules in _by_source(value.rules).items()
    }


def _tcp_decision(name: str, predicate: Predicate) -> OnMatch:
    matcher = first_of([(predicate, name)])
    matcher.on_no_match.CopyFrom(deny(NO_RULE_FOR_SOURCE))
    return OnMatch(matcher=matcher)


def _gate_open(given: xds_extension_pb2.TypedExtensionConfig, key: str) -> Predicate:
    """`given`: something that the caller has, without which Envoy does not ask."""
    fraction = runtime_fraction_pb2.RuntimeFraction(
        runtime_fraction=base_pb2.RuntimeFractionalPercent(runtime_key=key)
    )
    # Without the key nothing passes. (An unset default would let everything through.)
    fraction.runtime_fraction.default_value.numerator = 0
    fraction.runtime_fraction.default_value.SetInParent()
    return Predicate(
        single_predicate=Predicate.SinglePredicate(
            input=given, custom_match=typed_input("gate", fraction)
        )
    )
