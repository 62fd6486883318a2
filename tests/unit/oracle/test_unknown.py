"""What the simulation has never heard of it does not pass over."""

import pytest
from google.protobuf.message import Message
from tests.unit.oracle.noticing import Change, disagreements

from osm._envoy.envoy.config.endpoint.v3 import endpoint_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.config.route.v3 import route_components_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.explain.simulation.answer import NotSimulated


def unknown_field_of_a_manager(message: Message) -> None:
    if isinstance(message, listener_pb2.Listener):
        for chain in message.filter_chains:
            manager = http_connection_manager_pb2.HttpConnectionManager()
            if chain.filters[-1].typed_config.Unpack(manager):
                manager.strip_any_host_port = True
                chain.filters[-1].typed_config.Pack(manager)


def unknown_http_filter(message: Message) -> None:
    if isinstance(message, listener_pb2.Listener):
        for chain in message.filter_chains:
            manager = http_connection_manager_pb2.HttpConnectionManager()
            if chain.filters[-1].typed_config.Unpack(manager):
                manager.http_filters[0].typed_config.type_url = "type.googleapis.com/new.Filter"
                chain.filters[-1].typed_config.Pack(manager)


def unknown_way_to_match(message: Message) -> None:
    if isinstance(message, route_components_pb2.VirtualHost):
        for route in message.routes:
            route.match.runtime_fraction.default_value.numerator = 50


def unknown_action(message: Message) -> None:
    if isinstance(message, route_components_pb2.VirtualHost):
        for route in message.routes:
            route.redirect.host_redirect = "elsewhere"


def unknown_health(message: Message) -> None:
    if isinstance(message, endpoint_pb2.ClusterLoadAssignment):
        for place in message.endpoints:
            for endpoint in place.lb_endpoints:
                endpoint.health_status = 2  # type: ignore[assignment]


@pytest.mark.parametrize(
    "change",
    [
        unknown_field_of_a_manager,
        unknown_http_filter,
        unknown_way_to_match,
        unknown_action,
        unknown_health,
    ],
)
def test_what_the_simulation_does_not_know_it_does_not_pass_over(change: Change) -> None:
    with pytest.raises(NotSimulated, match="does not know"):
        list(disagreements(change))
