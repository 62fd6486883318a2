"""Envoy's matching trees: what they look at, and which action they end in."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network

import re2
from google.protobuf.any_pb2 import Any

from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.envoy.extensions.matching.common_inputs.ssl.v3 import ssl_inputs_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2 as input_ip_pb2
from osm._envoy.envoy.extensions.matching.input_matchers.runtime_fraction.v3 import (
    runtime_fraction_pb2,
)
from osm._envoy.envoy.type.matcher.v3 import http_inputs_pb2
from osm._envoy.envoy.type.matcher.v3 import string_pb2 as envoy_string_pb2
from osm._envoy.xds.core.v3 import extension_pb2
from osm._envoy.xds.type.matcher.v3 import ip_pb2, matcher_pb2, string_pb2
from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.call import Connection, Request
from osm.core.explain.simulation.unpack import is_a, unpacked

Matcher = matcher_pb2.Matcher
Predicate = matcher_pb2.Matcher.MatcherList.Predicate
Open = Callable[[str, int], bool]
"""Whether a runtime key, with its default, lets everything through (and not nothing)."""


class Seen:
    """All that a matcher can look at."""

    def __init__(
        self,
        connection: Connection,
        request: Request | None = None,
        state: Mapping[str, str] | None = None,
        is_open: Open = lambda _key, default: default > 0,
    ) -> None:
        self.connection = connection
        self.request = request
        self.state = state or {}
        self.is_open = is_open

    def value(self, given: extension_pb2.TypedExtensionConfig) -> str | None:
        """What an input gives; None where there is nothing."""
        config, connection = given.typed_config, self.connection
        if is_a(config, ssl_inputs_pb2.UriSanInput):
            return ",".join(connection.peer.uris) or None if connection.peer else None
        if is_a(config, ssl_inputs_pb2.DnsSanInput):
            return ",".join(connection.peer.names) or None if connection.peer else None
        if is_a(config, ssl_inputs_pb2.SubjectInput):
            return connection.peer.subject if connection.peer else None
        if is_a(config, network_inputs_pb2.FilterStateInput):
            return self.state.get(unpacked(config, network_inputs_pb2.FilterStateInput).key)
        if is_a(config, http_inputs_pb2.HttpRequestHeaderMatchInput):
            wanted = unpacked(config, http_inputs_pb2.HttpRequestHeaderMatchInput)
            lines = self.request.lines(wanted.header_name) if self.request else ()
            return ",".join(lines) if lines else None
        return self._of_connection(config)

    def _of_connection(self, config: Any) -> str | None:
        connection = self.connection
        if is_a(config, network_inputs_pb2.SourceIPInput):
            return connection.source
        if is_a(config, network_inputs_pb2.DestinationIPInput):
            return connection.ip
        if is_a(config, network_inputs_pb2.DestinationPortInput):
            return str(connection.port)
        if is_a(config, network_inputs_pb2.ServerNameInput):
            return connection.server_name or None
        if is_a(config, network_inputs_pb2.TransportProtocolInput):
            return "raw_buffer" if connection.server_name is None else "tls"
        raise NotSimulated(f"the simulation does not know the input {config.type_url}")


def decide(matcher: Matcher, seen: Seen) -> extension_pb2.TypedExtensionConfig | None:
    """The action that a tree ends in; None when nothing fits."""
    chosen: Matcher.OnMatch | None = None
    match matcher.WhichOneof("matcher_type"):
        case "matcher_list":
            chosen = next(
                (
                    field.on_match
                    for field in matcher.matcher_list.matchers
                    if fits(field.predicate, seen)
                ),
                None,
            )
        case "matcher_tree":
            chosen = _in_tree(matcher.matcher_tree, seen)
    if chosen is None:
        if not matcher.HasField("on_no_match"):
            return None
        chosen = matcher.on_no_match
    if chosen.WhichOneof("on_match") == "action":
        return chosen.action
    found = decide(chosen.matcher, seen)
    if found is None:
        raise NotSimulated("the simulation does not know what follows a nested matcher in vain")
    return found


def _in_tree(tree: Matcher.MatcherTree, seen: Seen) -> Matcher.OnMatch | None:
    value = seen.value(tree.input)
    if value is None:
        return None
    if tree.WhichOneof("tree_type") == "exact_match_map":
        entries = tree.exact_match_map.map
        return entries.get(value)
    if not is_a(tree.custom_match.typed_config, ip_pb2.IPMatcher):
        kind = tree.custom_match.typed_config.type_url
        raise NotSimulated(f"the simulation does not know the matcher {kind}")
    found: tuple[int, Matcher.OnMatch] | None = None
    for each in unpacked(tree.custom_match.typed_config, ip_pb2.IPMatcher).range_matchers:
        if not each.exclusive:
            raise NotSimulated("the simulation does not know ranges that are not exclusive")
        for place in each.ranges:
            length = place.prefix_len.value
            if in_range(value, place.address_prefix, length) and (not found or length > found[0]):
                found = length, each.on_match
    return found[1] if found else None


def fits(predicate: Predicate, seen: Seen) -> bool:
    """Whether a predicate holds."""
    match predicate.WhichOneof("match_type"):
        case "and_matcher":
            return all(fits(each, seen) for each in predicate.and_matcher.predicate)
        case "or_matcher":
            return any(fits(each, seen) for each in predicate.or_matcher.predicate)
        case "not_matcher":
            return not fits(predicate.not_matcher, seen)
    single = predicate.single_predicate
    value = seen.value(single.input)
    if value is None:
        return False
    if single.WhichOneof("matcher") == "value_match":
        return text_fits(single.value_match, value)
    config = single.custom_match.typed_config
    if is_a(config, input_ip_pb2.Ip):
        ranges = unpacked(config, input_ip_pb2.Ip).cidr_ranges
        return any(in_range(value, r.address_prefix, r.prefix_len.value) for r in ranges)
    if is_a(config, runtime_fraction_pb2.RuntimeFraction):
        gate = unpacked(config, runtime_fraction_pb2.RuntimeFraction).runtime_fraction
        return seen.is_open(gate.runtime_key, gate.default_value.numerator)
    raise NotSimulated(f"the simulation does not know the matcher {config.type_url}")


def text_fits(
    matcher: string_pb2.StringMatcher | envoy_string_pb2.StringMatcher, text: str
) -> bool:
    """Whether a text fits; a regex must fit all of it."""
    match matcher.WhichOneof("match_pattern"):
        case "exact":
            return text == matcher.exact
        case "prefix":
            return text.startswith(matcher.prefix)
        case "suffix":
            return text.endswith(matcher.suffix)
        case "contains":
            return matcher.contains in text
        case "safe_regex":
            return bool(re2.fullmatch(matcher.safe_regex.regex, text))
    raise NotSimulated("the simulation does not know a string matcher without a pattern")


def in_range(ip: str, prefix: str, length: int) -> bool:
    """Whether an IPv4 address is in a range."""
    try:
        address = IPv4Address(ip)
    except ValueError:
        return False
    return address in IPv4Network((prefix, length), strict=False)
