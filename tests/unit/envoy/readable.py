"""Envoy's messages as small, readable YAML."""

import json
from collections.abc import Mapping
from typing import cast

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message

from osm._envoy.envoy.config.accesslog.v3 import accesslog_pb2
from osm._envoy.envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from osm._envoy.xds.type.matcher.v3 import ip_pb2, matcher_pb2

Tree = Mapping[str, object]
_ADS = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}


def as_tree(message: Message) -> Tree:
    """A message as plain values, with Envoy's own names of fields."""
    text = json_format.MessageToJson(message, preserving_proto_field_name=True)
    return cast("Tree", _ordered(json.loads(text)))


def _ordered(value: object) -> object:
    """What something is comes first, and the rest by name, so that each run writes the same."""
    if value == _ADS:
        return "over the stream"
    if isinstance(value, dict):
        first = [key for key in ("@type", "name") if key in value]
        rest = sorted(key for key in value if key not in first)
        return {key: _ordered(value[key]) for key in (*first, *rest)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


def outline(listener: listener_pb2.Listener) -> Tree:
    """A listener without what all of them have in common: chains, what fits them, where they lead."""
    out: dict[str, object] = {"address": as_tree(listener.address)}
    out["filter_chains"] = [_chain(chain) for chain in listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        out["default_filter_chain"] = _chain(listener.default_filter_chain)
    if listener.HasField("filter_chain_matcher"):
        out["chosen_by"] = _choice(listener.filter_chain_matcher)
    inspected = [f for f in listener.listener_filters if f.HasField("filter_disabled")]
    if inspected:
        out["listener_filters"] = {f.name: as_tree(f.filter_disabled) for f in inspected}
    return out


def told(listener: listener_pb2.Listener) -> Tree:
    """What people asked to be told of each chain's traffic: logs and spans, but none of our own."""
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    return {chain.name: _told(chain.filters[-1]) for chain in chains}


def _told(last: listener_components_pb2.Filter) -> Tree:
    http = http_connection_manager_pb2.HttpConnectionManager()
    tcp = tcp_proxy_pb2.TcpProxy()
    if last.typed_config.Unpack(tcp):
        return {"access_log": [as_tree(each) for each in tcp.access_log if _is_asked_for(each)]}
    assert last.typed_config.Unpack(http)
    logs = [as_tree(each) for each in http.access_log if _is_asked_for(each)]
    return {"access_log": logs, "tracing": as_tree(http.tracing)}


def _is_asked_for(log: accesslog_pb2.AccessLog) -> bool:
    """Ours are metrics, and what tells of refusals."""
    ours = log.filter.HasField("metadata_filter") or log.filter.HasField("extension_filter")
    return not ours and log.name != "envoy.access_loggers.stats"


def _choice(matcher: matcher_pb2.Matcher) -> Tree:
    """What a matcher leads to, by what."""
    ranges = ip_pb2.IPMatcher()
    out: dict[str, object] = {}
    if matcher.matcher_tree.custom_match.typed_config.Unpack(ranges):
        for each in ranges.range_matchers:
            text = ", ".join(f"{r.address_prefix}/{r.prefix_len.value}" for r in each.ranges)
            out[text] = _chosen(each.on_match)
    for value, on_match in matcher.matcher_tree.exact_match_map.map.items():
        out[value] = _chosen(on_match)
    for field in matcher.matcher_list.matchers:
        fits = field.predicate.single_predicate.value_match
        out[fits.exact or f"*{fits.suffix}"] = _chosen(field.on_match)
    if matcher.HasField("on_no_match"):
        out = dict(sorted(out.items())) | {"otherwise": _chosen(matcher.on_no_match)}
    return out


def _chosen(on_match: matcher_pb2.Matcher.OnMatch) -> object:
    return _choice(on_match.matcher) if on_match.HasField("matcher") else on_match.action.name


def _chain(chain: listener_components_pb2.FilterChain) -> Tree:
    out: dict[str, object] = {"name": chain.name}
    if chain.HasField("filter_chain_match"):
        out["filter_chain_match"] = as_tree(chain.filter_chain_match)
    tls = tls_pb2.DownstreamTlsContext()
    if chain.transport_socket.typed_config.Unpack(tls):
        trust = tls.common_tls_context.combined_validation_context
        out["certificates_of"] = trust.validation_context_sds_secret_config.name
    out["filters"] = [_filter(each) for each in chain.filters]
    return out


def _filter(each: listener_components_pb2.Filter) -> object:
    http = http_connection_manager_pb2.HttpConnectionManager()
    tcp = tcp_proxy_pb2.TcpProxy()
    if each.HasField("config_discovery"):
        return {each.name: "discovered"}
    if each.typed_config.Unpack(http):
        return {"http": http.rds.route_config_name, "filters": [f.name for f in http.http_filters]}
    if each.typed_config.Unpack(tcp):
        weighted = {cluster.name: cluster.weight for cluster in tcp.weighted_clusters.clusters}
        return {"tcp": weighted or tcp.cluster}
    return each.name


def as_yaml(tree: object) -> str:
    return str(yaml.safe_dump(tree, sort_keys=False, width=96, allow_unicode=True))
