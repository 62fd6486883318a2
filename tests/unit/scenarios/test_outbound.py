"""What OSM's table tests say of the calling side, where no other test of ours says it already."""

import pytest
from tests.unit.envoy.asking import catalog_of, rendered, value_of

from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm.core.compile.build import Compiler
from osm.core.envoy.render import build
from osm.core.model.egress import EgressRules
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    Document,
    egress,
    identity,
    manifests,
    mesh_config,
    model,
    pod,
    proxy,
    service,
    split,
)

BUYER = pod("buyer", ip="10.0.0.2")


def listener(found: Model) -> listener_pb2.Listener:
    value = value_of(catalog_of(found), proxy(found, "buyer"), types.LISTENER, "outbound-listener")
    assert value is not None
    built = build(value)
    assert isinstance(built, listener_pb2.Listener)
    return built


def leaving(*parts: Document) -> EgressRules:
    return model(BUYER, *parts).egress[identity("buyer")]


def ways(rules: EgressRules) -> list[tuple[int, bool]]:
    """Port, and whether TLS server names are looked at."""
    return sorted((each.port, each.tls) for each in rules.connections)


def test_http_and_tcp_of_one_object_both_leave() -> None:
    found = leaving(egress("e", ["buyer"], ["http:80", "tcp:5432"], "a.org", "b.org"))
    assert [(each.host, each.port) for each in found.http] == [("a.org", 80), ("b.org", 80)]
    assert ways(found) == [(5432, False)]


def test_https_and_tcp_of_one_port_are_two_things() -> None:
    found = leaving(egress("e", ["buyer"], ["https:443", "tcp:443"], "a.org"))
    assert ways(found) == [(443, False), (443, True)]
    by_tls = {each.tls: each for each in found.connections}
    assert (by_tls[True].server_names, by_tls[False].server_names) == (("a.org",), ())


def test_one_port_of_one_protocol_is_one_way_out() -> None:
    once = egress("e", ["buyer"], ["tcp:5432", "TCP:5432"], ranges=["10.0.0.0/8"])
    (found,) = leaving(once).connections
    assert (found.port, found.ranges) == (5432, ("10.0.0.0/8",))
    # Two objects are two origins of one chain.
    again = egress("f", ["buyer"], ["tcp:5432"], ranges=["10.0.0.0/8"])
    chains = [chain.name for chain in listener(model(BUYER, once, again)).filter_chains]
    assert sum("5432" in name for name in chains) == 1


def test_the_order_of_ranges_means_nothing() -> None:
    ranges = ["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"]
    one = model(BUYER, egress("e", ["buyer"], ["tcp:5432"], ranges=ranges))
    other = model(BUYER, egress("e", ["buyer"], ["tcp:5432"], ranges=ranges[::-1]))
    assert rendered(one) == rendered(other)


def test_hosts_of_one_port_have_a_cluster_each() -> None:
    found = model(BUYER, egress("e", ["buyer"], ["http:80"], "a.org", "b.org"))
    assert {"a.org:80", "b.org:80"} <= set(found.egress_clusters)


@pytest.mark.parametrize("weights", [{"gone": 1}, {"db": 0}], ids=["no backend", "no weight"])
def test_tcp_that_leads_nowhere_is_closed(weights: dict[str, object]) -> None:
    """Where OSM gave up on the whole listener."""
    tcp = {"port": 5432, "name": "tcp-db"}
    found = model(BUYER, service("db", tcp, app="buyer"), split("s", "db", weights))
    (chain,) = [c for c in listener(found).filter_chains if "split" in c.name]
    assert b"no-backend" in chain.filters[-1].typed_config.value


def test_who_may_call_nothing_has_a_listener_that_lets_nothing_through() -> None:
    """OSM made no listener at all, and connections were refused: by chance, and not for each port."""
    found = listener(model(BUYER))
    assert [chain.name for chain in found.filter_chains] == []
    assert found.default_filter_chain.name == "outbound_tcp"


def test_tls_settings_reach_listeners_and_clusters_by_themselves() -> None:
    """OSM told nobody until something else changed."""
    parts = manifests(BUYER, pod("shop"), service("shop", 80))
    compiler = Compiler(LOCAL, parts)
    before = rendered(compiler.model)
    (weaker,) = manifests(mesh_config(sidecar={"tlsMinProtocolVersion": "TLSv1_2"}))
    assert "settings" in compiler.update(applied=[weaker]).changed
    after = rendered(compiler.model)
    changed = {key[1] for key, value in before.items() if after[key] != value}
    assert changed == {(types.LISTENER, "inbound-listener"), (types.CLUSTER, "default/shop|80")}
