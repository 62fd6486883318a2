"""Choosing a filter chain by what is known of a connection: values of an xDS matcher."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue, UInt32Value

from osm._envoy.envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from osm._envoy.xds.core.v3 import cidr_pb2, extension_pb2
from osm._envoy.xds.type.matcher.v3 import ip_pb2, matcher_pb2, string_pb2

Matcher = matcher_pb2.Matcher
Choice = matcher_pb2.Matcher.OnMatch


def chain(name: str) -> Choice:
    """Take a chain by its name."""
    choice = Choice()
    choice.action.name = name
    choice.action.typed_config.Pack(StringValue(value=name), deterministic=True)
    return choice


def by_port(choices: Mapping[int, Choice], otherwise: Choice) -> Matcher:
    """Choose by the destination's port."""
    texts = {str(port): choice for port, choice in choices.items()}
    return _exact(network_inputs_pb2.DestinationPortInput(), texts, otherwise)


def by_address(choices: Mapping[str, Choice], otherwise: Choice) -> Choice:
    """Choose by the destination's address."""
    if not choices:
        return otherwise
    given = network_inputs_pb2.DestinationIPInput()
    return Choice(matcher=_exact(given, choices, otherwise))


def by_range(choices: Mapping[str, Choice], otherwise: Choice) -> Choice:
    """Choose by the narrowest range that the destination's address is in."""
    if not choices:
        return otherwise
    ranges = ip_pb2.IPMatcher()
    for text, choice in choices.items():
        network = IPv4Network(text)
        place = cidr_pb2.CidrRange(
            address_prefix=str(network.network_address),
            prefix_len=UInt32Value(value=network.prefixlen),
        )
        ranges.range_matchers.add(ranges=[place], on_match=choice, exclusive=True)
    matcher = Matcher(on_no_match=otherwise)
    matcher.matcher_tree.input.CopyFrom(_input(network_inputs_pb2.DestinationIPInput()))
    matcher.matcher_tree.custom_match.name = "ranges"
    matcher.matcher_tree.custom_match.typed_config.Pack(ranges, deterministic=True)
    return Choice(matcher=matcher)


def by_server_name(patterns: Iterable[str], choice: Choice, otherwise: Choice) -> Choice:
    """Choose by the server name that a TLS client asks for; `*.` stands for every name below."""
    given = network_inputs_pb2.ServerNameInput()
    matcher = Matcher(on_no_match=otherwise)
    for pattern in patterns:
        is_suffix = pattern.startswith("*.")
        fits = (
            string_pb2.StringMatcher(suffix=pattern[1:])
            if is_suffix
            else string_pb2.StringMatcher(exact=pattern)
        )
        field = matcher.matcher_list.matchers.add(on_match=choice)
        field.predicate.single_predicate.input.CopyFrom(_input(given))
        field.predicate.single_predicate.value_match.CopyFrom(fits)
    return Choice(matcher=matcher)


def if_tls(choice: Choice, otherwise: Choice) -> Choice:
    """Choose by whether a connection begins with TLS."""
    given = network_inputs_pb2.TransportProtocolInput()
    return Choice(matcher=_exact(given, {"tls": choice}, otherwise))


def _exact(given: Message, choices: Mapping[str, Choice], otherwise: Choice) -> Matcher:
    matcher = Matcher(on_no_match=otherwise)
    matcher.matcher_tree.input.CopyFrom(_input(given))
    for text, choice in choices.items():
        matcher.matcher_tree.exact_match_map.map[text].CopyFrom(choice)
    return matcher


def _input(given: Message) -> extension_pb2.TypedExtensionConfig:
    value = extension_pb2.TypedExtensionConfig(name="destination")
    value.typed_config.Pack(given, deterministic=True)
    return value
