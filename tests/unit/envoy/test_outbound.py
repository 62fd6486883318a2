"""Where the outbound listener sends a connection, and what it takes for a host that it holds."""

from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import BoolValue, StringValue
from tests.unit.envoy.static import HTTP_MANAGER, Manager, StaticEnvoy

from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.config.route.v3 import route_pb2
from osm._envoy.envoy.extensions.filters.http.router.v3 import router_pb2
from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.filters.traffic_metrics import SourceLabels
from osm.core.envoy.names import outbound_routes
from osm.core.envoy.observation import Observation
from osm.core.envoy.outbound import (
    OutboundListener,
    TcpException,
    TcpSplit,
    build_outbound_listener,
)
from osm.core.envoy.route import (
    OutboundHost,
    OutboundRule,
    UnknownHosts,
    build_outbound_host,
    build_unknown_hosts,
)
from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch, PathMatch

SOURCE = Observation(SourceLabels("default", "Deployment", "client", "client-0"))
ORIGIN = Origin("Service", "default", "shop", "spec")
ONLY_A = HttpMatch(PathMatch("exact", "/a"))
GUARDED = OutboundListener(
    SOURCE,
    http_ports=(80, 8080),
    tcp_exceptions=(TcpException(80, ("10.1.0.2", "fd00::2")),),
    tcp_splits=(
        TcpSplit(80, ("10.1.0.3",), (("one", 1), ("two", 2))),
        TcpSplit(5432, ("10.1.0.4",), (("one", 1), ("two", 2))),
    ),
    known_tcp=((80, ("10.1.0.2", "fd00::2")), (5432, ("10.1.0.4", "10.1.0.5", "fd00::5"))),
)


def chain_for(listener: listener_pb2.Listener, ip: str, port: int) -> str:
    """The chain that the matcher of a listener names."""
    matcher = listener.filter_chain_matcher
    for given in (str(port), ip):
        tree = matcher.matcher_tree.exact_match_map.map
        found: matcher_pb2.Matcher.OnMatch = tree.get(given, matcher.on_no_match)
        if found.HasField("action"):
            name = StringValue()
            found.action.typed_config.Unpack(name)
            return name.value
        matcher = found.matcher
    raise AssertionError("the matcher asks for more than port and address")


@pytest.mark.parametrize(
    ("ip", "port", "chain"),
    [
        pytest.param("10.1.0.1", 80, "outbound_http_80", id="HTTP"),
        pytest.param("192.0.2.1", 80, "outbound_http_80", id="HTTP to an unknown address"),
        pytest.param("10.1.0.5", 8080, "outbound_http_8080", id="HTTP on a port of HTTP alone"),
        pytest.param("10.1.0.2", 80, "outbound_tcp_80", id="TCP on a port of HTTP"),
        pytest.param("fd00::2", 80, "outbound_tcp_80", id="the same by IPv6"),
        pytest.param("10.1.0.3", 80, "outbound_split_10.1.0.3_80", id="split on a port of HTTP"),
        pytest.param("10.1.0.4", 5432, "outbound_split_10.1.0.4_5432", id="split"),
        pytest.param("10.1.0.5", 5432, "outbound_tcp_known", id="TCP"),
        pytest.param("fd00::5", 5432, "outbound_tcp_known", id="TCP by IPv6"),
        pytest.param("10.1.0.1", 5432, "outbound_tcp_unknown", id="unknown address"),
        pytest.param("10.1.0.5", 5433, "outbound_tcp_unknown", id="unknown port"),
    ],
)
def test_a_listener_that_is_told_what_is_known_lets_nothing_else_through(
    ip: str, port: int, chain: str
) -> None:
    listener = build_outbound_listener(GUARDED)
    assert chain_for(listener, ip, port) == chain
    assert chain in {each.name for each in listener.filter_chains}


def test_what_is_known_adds_chains_and_touches_none_of_those_that_connections_have() -> None:
    """Envoy ends the connections of a chain that differs in anything."""
    told = build_outbound_listener(GUARDED)
    free = build_outbound_listener(
        OutboundListener(
            SOURCE, GUARDED.http_ports, GUARDED.tcp_exceptions, GUARDED.tcp_splits, known_tcp=None
        )
    )
    assert not free.HasField("filter_chain_matcher")
    assert told.default_filter_chain == free.default_filter_chain
    assert told.filter_chains[: len(free.filter_chains)] == list(free.filter_chains)
    added = [chain.name for chain in told.filter_chains[len(free.filter_chains) :]]
    assert added == ["outbound_tcp_known", "outbound_tcp_unknown"]
    other = build_outbound_listener(
        OutboundListener(
            SOURCE,
            GUARDED.http_ports,
            GUARDED.tcp_exceptions,
            GUARDED.tcp_splits,
            known_tcp=((1, ("10.9.9.9",)),),
        )
    )
    assert other.filter_chains == told.filter_chains


@pytest.mark.parametrize(
    ("matches", "answers_all"),
    [((), True), ((HttpMatch(),), True), ((ONLY_A, HttpMatch()), True), ((ONLY_A,), False)],
)
def test_a_host_has_a_route_for_every_request(
    matches: tuple[HttpMatch, ...], *, answers_all: bool
) -> None:
    rule = OutboundRule((("shop", 1),), ORIGIN, matches)
    host = build_outbound_host(OutboundHost("rds-outbound.80/default|shop", ("shop",), (), (rule,)))
    last = host.routes[-1]
    assert last.match.prefix == "/"
    assert last.HasField("route") == answers_all
    assert len(host.routes) == max(1, len(matches)) + (not answers_all)


def test_envoy_takes_all_that_discovery_needs(tmp_path: Path) -> None:
    envoy = StaticEnvoy(tmp_path)
    resources = envoy.bootstrap.static_resources
    listener = resources.listeners.add()
    listener.CopyFrom(build_outbound_listener(GUARDED))
    listener.address.Clear()
    listener.address.pipe.path = str(tmp_path / "listener.sock")
    rule = OutboundRule((("shop", 1),), ORIGIN, (ONLY_A,))
    hosts = [
        build_outbound_host(OutboundHost("rds-outbound.80/default|shop", ("shop",), (), (rule,))),
        build_unknown_hosts(UnknownHosts(f"{outbound_routes(80)}/*")),
    ]
    routes = route_pb2.RouteConfiguration(
        virtual_hosts=hosts, validate_clusters=BoolValue(value=False)
    )
    plain = resources.listeners.add(name="plain")
    plain.address.pipe.path = str(tmp_path / "plain.sock")
    manager = Manager(stat_prefix="m", route_config=routes)
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(
        router_pb2.Router()
    )
    plain.filter_chains.add().filters.add(name=HTTP_MANAGER).typed_config.Pack(manager)
    assert envoy.validate() == ""
