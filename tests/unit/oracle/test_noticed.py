"""The oracle can fail: what is changed in the configuration is noticed."""

from collections.abc import Callable, Iterator

import pytest
from google.protobuf.message import Message
from tests.unit.oracle.noticing import Change, Fits, anything, disagreements
from tests.unit.oracle.written import Mesh

from osm._envoy.envoy.config.cluster.v3 import cluster_pb2
from osm._envoy.envoy.config.core.v3 import extension_pb2
from osm._envoy.envoy.config.endpoint.v3 import endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.config.rbac.v3 import rbac_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2, route_pb2
from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm._envoy.envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.api.smi import TrafficSplit
from osm.core.explain.explanation import Question

RBAC = "envoy.filters.http.rbac"


def _matchers(matcher: matcher_pb2.Matcher) -> Iterator[matcher_pb2.Matcher]:
    yield matcher
    for each in matcher.matcher_tree.exact_match_map.map.values():
        if each.HasField("matcher"):
            yield from _matchers(each.matcher)


def _http_access(message: Message, change: Callable[[matcher_pb2.Matcher], None]) -> None:
    if (
        isinstance(message, route_pb2.RouteConfiguration)
        and RBAC in message.typed_per_filter_config
    ):
        config = message.typed_per_filter_config[RBAC]
        rbac = http_rbac_pb2.RBACPerRoute()
        config.Unpack(rbac)
        for matcher in _matchers(rbac.rbac.matcher):
            change(matcher)
        config.Pack(rbac)


def drop_a_source(message: Message) -> None:
    def change(matcher: matcher_pb2.Matcher) -> None:
        entries = matcher.matcher_tree.exact_match_map.map
        if entries:
            del entries[min(entries)]

    _http_access(message, change)


def widen_a_path(message: Message) -> None:
    def change(matcher: matcher_pb2.Matcher) -> None:
        for field in matcher.matcher_list.matchers:
            parts = field.predicate.and_matcher.predicate or [field.predicate]
            for part in parts:
                if part.single_predicate.value_match.HasField("safe_regex"):
                    part.single_predicate.value_match.safe_regex.regex = ".*"

    _http_access(message, change)


def narrow_a_method(message: Message) -> None:
    def change(matcher: matcher_pb2.Matcher) -> None:
        for field in matcher.matcher_list.matchers:
            for part in field.predicate.and_matcher.predicate:
                regex = part.single_predicate.value_match.safe_regex
                regex.regex = regex.regex.replace("GET|", "")

    _http_access(message, change)


def allow_everybody_else(message: Message) -> None:
    def change(matcher: matcher_pb2.Matcher) -> None:
        config = matcher.on_no_match.action.typed_config
        config.Pack(rbac_pb2.Action(name="open", action=rbac_pb2.RBAC.ALLOW))

    _http_access(message, change)


def drop_a_tcp_rule(message: Message) -> None:
    if isinstance(message, extension_pb2.TypedExtensionConfig):
        rbac = network_rbac_pb2.RBAC()
        message.typed_config.Unpack(rbac)
        entries = rbac.matcher.matcher_tree.exact_match_map.map
        if entries:
            del entries[min(entries)]
        message.typed_config.Pack(rbac)


def close_a_gate(message: Message) -> None:
    if isinstance(message, rtds_pb2.Runtime) and message.layer.fields:
        del message.layer.fields[min(message.layer.fields)]


def accept_one_caller_less(message: Message) -> None:
    if isinstance(message, secret_pb2.Secret):
        accepted = message.validation_context.match_typed_subject_alt_names
        if len(accepted) > 1:
            del accepted[0]


def shift_a_weight(message: Message) -> None:
    if isinstance(message, route_components_pb2.VirtualHost):
        for route in message.routes:
            for each in route.route.weighted_clusters.clusters[:1]:
                each.weight.value += 1


def drop_an_endpoint(message: Message) -> None:
    if isinstance(message, endpoint_pb2.ClusterLoadAssignment) and message.endpoints:
        del message.endpoints[0].lb_endpoints[0]


def call_the_wrong_server(message: Message) -> None:
    if isinstance(message, cluster_pb2.Cluster) and message.HasField("eds_cluster_config"):
        message.eds_cluster_config.service_name = "red/a|8080"


def expect_another_server(message: Message) -> None:
    """The caller's proxy would find that the certificate is another's."""
    if isinstance(message, secret_pb2.Secret) and message.name == "root-cert":
        found = message.validation_context.match_typed_subject_alt_names.add(san_type="URI")
        found.matcher.exact = "spiffe://cluster.local/ns/red/sa/a"


def forget_a_route(message: Message) -> None:
    if isinstance(message, route_components_pb2.VirtualHost) and len(message.routes) > 1:
        del message.routes[0]


def listen_for_tcp_only(message: Message) -> None:
    if isinstance(message, listener_pb2.Listener) and message.name == "outbound-listener":
        kept = [c for c in message.filter_chains if not c.name.startswith("outbound_http")]
        del message.filter_chains[:]
        message.filter_chains.extend(kept)


def drop_an_inbound_port(message: Message) -> None:
    if isinstance(message, listener_pb2.Listener) and message.name.startswith("inbound"):
        del message.filter_chains[0]


def demand_no_certificate(message: Message) -> None:
    if isinstance(message, listener_pb2.Listener):
        for chain in message.filter_chains:
            chain.ClearField("transport_socket")


def believe_what_callers_say(message: Message) -> None:
    """Their address would be what they have written into a header."""
    if isinstance(message, listener_pb2.Listener):
        for chain in message.filter_chains:
            manager = http_connection_manager_pb2.HttpConnectionManager()
            if chain.filters and chain.filters[-1].typed_config.Unpack(manager):
                manager.use_remote_address.value = False
                manager.xff_num_trusted_hops = 0
                chain.filters[-1].typed_config.Pack(manager)


def over_tcp(_: Mesh, question: Question) -> bool:
    return not question.method


def from_outside(_: Mesh, question: Question) -> bool:
    return "/" not in question.source


def to_a_split_by_matches(mesh: Mesh, question: Question) -> bool:
    splits = [m.object.spec for m in mesh.policies if isinstance(m.object, TrafficSplit)]
    roots = {spec.service.partition(".")[0] + "." for spec in splits if spec.matches}
    return any(question.destination.lower().startswith(root) for root in roots)


CHANGES: tuple[tuple[Change, Fits], ...] = (
    (drop_a_source, anything),
    (widen_a_path, anything),
    (narrow_a_method, anything),
    (allow_everybody_else, anything),
    (drop_a_tcp_rule, over_tcp),
    (close_a_gate, over_tcp),
    (accept_one_caller_less, over_tcp),
    (shift_a_weight, anything),
    (drop_an_endpoint, anything),
    (call_the_wrong_server, anything),
    (expect_another_server, anything),
    (forget_a_route, to_a_split_by_matches),
    (listen_for_tcp_only, anything),
    (drop_an_inbound_port, anything),
    (demand_no_certificate, anything),
    (believe_what_callers_say, from_outside),
)
"""What is changed, and the questions by which somebody might notice."""


@pytest.mark.parametrize(("change", "fits"), CHANGES)
def test_a_change_of_the_configuration_is_noticed(change: Change, fits: Fits) -> None:
    assert any(disagreements(change, fits)), "nobody noticed"
