"""Envoy's matching trees in few words: what access rules are made of (`access`, `ingress`)."""

from google.protobuf.message import Message

from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.ssl.v3 import ssl_inputs_pb2
from osm._envoy.envoy.type.matcher.v3 import http_inputs_pb2
from osm._envoy.xds.core.v3 import extension_pb2 as xds_extension_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2, regex_pb2, string_pb2
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch

PATH_STATE = "osm.path"
"""Filter state with the request's normalised path, without its query: what path rules look at."""

OnMatch = matcher_pb2.Matcher.OnMatch
Predicate = matcher_pb2.Matcher.MatcherList.Predicate


def request_predicates(match: HttpMatch) -> list[Predicate]:
    """What a request must fulfil, all of it; nothing when every request fits."""
    predicates = []
    if match.methods:
        predicates.append(regex_fits(_header_input(":method"), "|".join(map(quote, match.methods))))
    if match.path is not None:
        predicates.append(_path(match.path))
    predicates += [_value(_header_input(header.name), header) for header in match.headers]
    return predicates


def _path(path: PathMatch) -> Predicate:
    given = typed_input("path", network_inputs_pb2.FilterStateInput(key=PATH_STATE))
    match path.kind:
        case "exact":
            return _exact(given, path.value)
        case "prefix":
            return regex_fits(given, quote(path.value.rstrip("/")) + "(?:/.*)?")
        case _:
            return regex_fits(given, path.value)


def _value(given: xds_extension_pb2.TypedExtensionConfig, match: ValueMatch) -> Predicate:
    return _exact(given, match.value) if match.kind == "exact" else regex_fits(given, match.value)


def first_of(cases: list[tuple[Predicate, str]]) -> matcher_pb2.Matcher:
    """Allow by the first predicate that fits, under the name beside it."""
    return matcher_pb2.Matcher(
        matcher_list=matcher_pb2.Matcher.MatcherList(
            matchers=[
                matcher_pb2.Matcher.MatcherList.FieldMatcher(
                    predicate=predicate, on_match=act(name, rbac_pb2.RBAC.ALLOW)
                )
                for predicate, name in cases
            ]
        )
    )


def all_of(predicates: list[Predicate]) -> Predicate:
    """All of them, of which there is at least one."""
    if len(predicates) == 1:
        return predicates[0]
    return Predicate(and_matcher=Predicate.PredicateList(predicate=predicates))


def regex_fits(given: xds_extension_pb2.TypedExtensionConfig, regex: str) -> Predicate:
    """The whole value fits."""
    if not regex:  # Envoy refuses an empty one, which fits nothing but an empty value.
        return _exact(given, "")
    engine = regex_pb2.RegexMatcher(google_re2=regex_pb2.RegexMatcher.GoogleRE2(), regex=regex)
    return single(given, string_pb2.StringMatcher(safe_regex=engine))


def _exact(given: xds_extension_pb2.TypedExtensionConfig, value: str) -> Predicate:
    return single(given, string_pb2.StringMatcher(exact=value))


def single(
    given: xds_extension_pb2.TypedExtensionConfig, value: string_pb2.StringMatcher
) -> Predicate:
    """One value fits."""
    return Predicate(single_predicate=Predicate.SinglePredicate(input=given, value_match=value))


def _header_input(name: str) -> xds_extension_pb2.TypedExtensionConfig:
    return typed_input("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name))


def typed_input(name: str, message: Message) -> xds_extension_pb2.TypedExtensionConfig:
    """Name and pack what a matcher looks at, or by what."""
    config = xds_extension_pb2.TypedExtensionConfig(name=name)
    config.typed_config.Pack(message, deterministic=True)
    return config


def deny(reason: str) -> OnMatch:
    """Refuse; the reason is in logs and answers."""
    return act(reason, rbac_pb2.RBAC.DENY)


def act(name: str, action: rbac_pb2.RBAC.Action) -> OnMatch:
    """Allow or refuse, under the name of the rule that says so."""
    config = xds_extension_pb2.TypedExtensionConfig(name=name)
    config.typed_config.Pack(rbac_pb2.Action(name=name, action=action), deterministic=True)
    return OnMatch(action=config)


def quote(text: str) -> str:
    """The text as a regex that fits only itself (RE2 accepts a backslash before any punctuation)."""
    return "".join(c if c.isalnum() or ord(c) > 127 else "\\" + c for c in text)


def uri_input() -> xds_extension_pb2.TypedExtensionConfig:
    """The URI of the caller's certificate."""
    return typed_input("source", ssl_inputs_pb2.UriSanInput())


def dns_input() -> xds_extension_pb2.TypedExtensionConfig:
    """The DNS names of the caller's certificate: several are one text, with commas."""
    return typed_input("name", ssl_inputs_pb2.DnsSanInput())


def no_uri() -> Predicate:
    """The caller's certificate has no URI."""
    return Predicate(not_matcher=regex_fits(uri_input(), ".+"))
