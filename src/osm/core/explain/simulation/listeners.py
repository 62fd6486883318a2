"""Which listener takes a connection, and which of its filter chains."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

import msgspec
from google.protobuf.wrappers_pb2 import StringValue

from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from osm.core.explain.simulation.answer import NotSimulated
from osm.core.explain.simulation.call import Connection
from osm.core.explain.simulation.matchers import Seen, decide, in_range
from osm.core.explain.simulation.unpack import is_a, unpacked

Chain = listener_components_pb2.FilterChain
Listener = listener_pb2.Listener
Disabled = listener_components_pb2.ListenerFilterChainMatchPredicate


def chain_of(listener: Listener, connection: Connection) -> Chain | None:
    """The chain that takes a connection; None: it is closed."""
    known = _inspected(listener, connection)
    if listener.HasField("filter_chain_matcher"):
        found = _by_matcher(listener, known)
    else:
        found = _by_own_matches(listener.filter_chains, known)
    if found is None and listener.HasField("default_filter_chain"):
        return listener.default_filter_chain
    return found


def _inspected(listener: Listener, connection: Connection) -> Connection:
    """What the listener can tell of TLS: nothing, unless an inspector looks."""
    for each in listener.listener_filters:
        if is_a(each.typed_config, tls_inspector_pb2.TlsInspector):
            if each.HasField("filter_disabled") and _holds(each.filter_disabled, connection):
                break
            return connection
    return msgspec.structs.replace(connection, server_name=None, protocols=())


def _holds(predicate: Disabled, connection: Connection) -> bool:
    match predicate.WhichOneof("rule"):
        case "not_match":
            return not _holds(predicate.not_match, connection)
        case "or_match":
            return any(_holds(each, connection) for each in predicate.or_match.rules)
        case "destination_port_range":
            ports = predicate.destination_port_range
            return ports.start <= connection.port < ports.end
    raise NotSimulated("the simulation does not know when this listener filter is disabled")


def _by_matcher(listener: Listener, connection: Connection) -> Chain | None:
    action = decide(listener.filter_chain_matcher, Seen(connection))
    if action is None:
        return None
    name = unpacked(action.typed_config, StringValue).value
    return next((chain for chain in listener.filter_chains if chain.name == name), None)


def _by_own_matches(chains: Iterable[Chain], connection: Connection) -> Chain | None:
    """Envoy's order: port, address, server name, TLS, protocol. It does not turn back: chains that
    are less particular in one respect are out as soon as one fits that is more so.
    """
    left = list(chains)
    ports = [chain.filter_chain_match.destination_port.value for chain in left]
    left = _narrowed(left, ports, [connection.port, 0])
    left = _by_address(left, connection.ip)
    left = _by_server_name(left, connection.server_name or "")
    transports = [chain.filter_chain_match.transport_protocol for chain in left]
    spoken = "raw_buffer" if connection.server_name is None else "tls"
    left = _narrowed(left, transports, [spoken, ""])
    for protocol in connection.protocols:
        fitting = [c for c in left if protocol in c.filter_chain_match.application_protocols]
        if fitting:
            return fitting[0]
    left = [chain for chain in left if not chain.filter_chain_match.application_protocols]
    return left[0] if left else None


def _narrowed(
    chains: Sequence[Chain], values: Sequence[object], wanted: Sequence[object]
) -> list[Chain]:
    """The chains with the first of the wanted values that any has."""
    for value in wanted:
        found = [chain for chain, has in zip(chains, values, strict=True) if has == value]
        if found:
            return found
    return []


def _by_address(chains: Sequence[Chain], ip: str) -> list[Chain]:
    best: dict[int, list[Chain]] = {}
    for chain in chains:
        ranges = chain.filter_chain_match.prefix_ranges
        lengths = [
            r.prefix_len.value for r in ranges if in_range(ip, r.address_prefix, r.prefix_len.value)
        ]
        if not ranges:
            best.setdefault(IPv4Network("0.0.0.0/0").prefixlen, []).append(chain)
        elif lengths:
            best.setdefault(max(lengths), []).append(chain)
    return best[max(best)] if best else []


def _by_server_name(chains: Sequence[Chain], name: str) -> list[Chain]:
    wanted = [name] if name else []
    rest = name
    while "." in rest:
        rest = rest.partition(".")[2]
        wanted.append(f"*.{rest}")
    for each in wanted:
        found = [chain for chain in chains if each in chain.filter_chain_match.server_names]
        if found:
            return found
    return [chain for chain in chains if not chain.filter_chain_match.server_names]
