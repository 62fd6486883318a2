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
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from osm._envoy.envoy.config.core.v3 import base_pb2, extension_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.ssl.v3 import ssl_inputs_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.runtime_fraction.v3 import (
    runtime_fraction_pb2,
)
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm._envoy.envoy.type.matcher.v3 import http_inputs_pb2
from osm._envoy.xds.core.v3 import extension_pb2 as xds_extension_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2, regex_pb2, string_pb2
from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch

NO_RULE_FOR_SOURCE = "no-access-rule-for-source"
NO_RULE_FOR_REQUEST = "no-access-rule-for-request"
PERMISSIVE = "permissive-mode"

PATH_STATE = "osm.path"
"""Filter state with the request's normalised path, without its query: what path rules look at."""

OnMatch = matcher_pb2.Matcher.OnMatch
Predicate = matcher_pb2.Matcher.MatcherList.Predicate


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
        matcher = matcher_pb2.Matcher(on_no_match=_action(PERMISSIVE, rbac_pb2.RBAC.ALLOW))
    else:
        matcher = _by_identity(
            {source: _http_decision(rules) for source, rules in _by_source(value.rules).items()}
        )
    return http_rbac_pb2.RBACPerRoute(rbac=http_rbac_pb2.RBAC(matcher=matcher))


def build_tcp_access(value: TcpAccess) -> extension_pb2.TypedExtensionConfig:
    """The network RBAC filter of one port, evaluated again with each piece of data."""
    if value.permissive:
        pattern = f"spiffe://{_quote(value.trust_domain)}/ns/.*"
        matcher = _first_of(
            [
                (
                    _and([_regex(_uri_input(), pattern), _gate_open(gate(value.port, None))]),
                    PERMISSIVE,
                )
            ]
        )
        matcher.on_no_match.CopyFrom(_deny(NO_RULE_FOR_SOURCE))
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


def _by_source(rules: Iterable[AccessRule]) -> dict[Identity, list[AccessRule]]:
    found: dict[Identity, list[AccessRule]] = {}
    for rule in rules:
        for source in rule.sources:
            found.setdefault(source, []).append(rule)
    return {source: found[source] for source in sorted(found)}


def _by_identity(decisions: dict[Identity, OnMatch]) -> matcher_pb2.Matcher:
    matcher = matcher_pb2.Matcher(on_no_match=_deny(NO_RULE_FOR_SOURCE))
    if decisions:
        matcher.matcher_tree.input.CopyFrom(_uri_input())
        for source, decision in decisions.items():
            matcher.matcher_tree.exact_match_map.map[source.spiffe_id].CopyFrom(decision)
    return matcher


def _http_decision(rules: list[AccessRule]) -> OnMatch:
    cases: list[tuple[Predicate, str]] = []
    for rule in rules:
        if rule.http is not None and rule.http.query:
            continue  # Envoy's RBAC cannot look at the query: what cannot be said grants nothing.
        predicates = _predicates(rule.http or HttpMatch())
        if not predicates:
            return _action(rule.name, rbac_pb2.RBAC.ALLOW)
        cases.append((_and(predicates), rule.name))
    if not cases:
        return _deny(NO_RULE_FOR_REQUEST)
    matcher = _first_of(cases)
    matcher.on_no_match.CopyFrom(_deny(NO_RULE_FOR_REQUEST))
    return OnMatch(matcher=matcher)


def _tcp_decision(name: str, key: str) -> OnMatch:
    matcher = _first_of([(_gate_open(key), name)])
    matcher.on_no_match.CopyFrom(_deny(NO_RULE_FOR_SOURCE))
    return OnMatch(matcher=matcher)


def _predicates(match: HttpMatch) -> list[Predicate]:
    predicates = []
    if match.methods:
        predicates.append(_regex(_header_input(":method"), "|".join(map(_quote, match.methods))))
    if match.path is not None:
        predicates.append(_path(match.path))
    predicates += [_value(_header_input(header.name), header) for header in match.headers]
    return predicates


def _path(path: PathMatch) -> Predicate:
    given = _input("path", network_inputs_pb2.FilterStateInput(key=PATH_STATE))
    match path.kind:
        case "exact":
            return _exact(given, path.value)
        case "prefix":
            return _regex(given, _quote(path.value.rstrip("/")) + "(?:/.*)?")
        case _:
            return _regex(given, path.value)


def _value(given: xds_extension_pb2.TypedExtensionConfig, match: ValueMatch) -> Predicate:
    return _exact(given, match.value) if match.kind == "exact" else _regex(given, match.value)


def _first_of(cases: list[tuple[Predicate, str]]) -> matcher_pb2.Matcher:
    return matcher_pb2.Matcher(
        matcher_list=matcher_pb2.Matcher.MatcherList(
            matchers=[
                matcher_pb2.Matcher.MatcherList.FieldMatcher(
                    predicate=predicate, on_match=_action(name, rbac_pb2.RBAC.ALLOW)
                )
                for predicate, name in cases
            ]
        )
    )


def _and(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return Predicate(and_matcher=Predicate.PredicateList(predicate=predicates))


def _regex(given: xds_extension_pb2.TypedExtensionConfig, regex: str) -> Predicate:
    if not regex:  # Envoy refuses an empty one, which fits nothing but an empty value.
        return _exact(given, "")
    engine = regex_pb2.RegexMatcher(google_re2=regex_pb2.RegexMatcher.GoogleRE2(), regex=regex)
    return _single(given, string_pb2.StringMatcher(safe_regex=engine))


def _exact(given: xds_extension_pb2.TypedExtensionConfig, value: str) -> Predicate:
    return _single(given, string_pb2.StringMatcher(exact=value))


def _single(
    given: xds_extension_pb2.TypedExtensionConfig, value: string_pb2.StringMatcher
) -> Predicate:
    return Predicate(single_predicate=Predicate.SinglePredicate(input=given, value_match=value))


def _gate_open(key: str) -> Predicate:
    fraction = runtime_fraction_pb2.RuntimeFraction(
        runtime_fraction=base_pb2.RuntimeFractionalPercent(runtime_key=key)
    )
    # Without the key nothing passes. (An unset default would let everything through.)
    fraction.runtime_fraction.default_value.numerator = 0
    fraction.runtime_fraction.default_value.SetInParent()
    return Predicate(
        single_predicate=Predicate.SinglePredicate(
            input=_uri_input(), custom_match=_input("gate", fraction)
        )
    )


def _uri_input() -> xds_extension_pb2.TypedExtensionConfig:
    return _input("source", ssl_inputs_pb2.UriSanInput())


def _header_input(name: str) -> xds_extension_pb2.TypedExtensionConfig:
    return _input("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name))


def _input(name: str, message: Message) -> xds_extension_pb2.TypedExtensionConfig:
    config = xds_extension_pb2.TypedExtensionConfig(name=name)
    config.typed_config.Pack(message, deterministic=True)
    return config


def _deny(reason: str) -> OnMatch:
    return _action(reason, rbac_pb2.RBAC.DENY)


def _action(name: str, action: rbac_pb2.RBAC.Action) -> OnMatch:
    config = xds_extension_pb2.TypedExtensionConfig(name=name)
    config.typed_config.Pack(rbac_pb2.Action(name=name, action=action), deterministic=True)
    return OnMatch(action=config)


def _quote(text: str) -> str:
    """The text as a regex that fits only itself (RE2 accepts a backslash before any punctuation)."""
    return "".join(c if c.isalnum() or ord(c) > 127 else "\\" + c for c in text)
