"""Egress objects become what identities may call beyond the mesh."""

import msgspec
import pytest
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.api.registry import find_kind
from osm.core.envoy import names
from osm.core.envoy.egress_cluster import OriginalCluster
from osm.core.envoy.egress_resources import egress_cluster_value
from osm.core.envoy.outbound import OutboundListener
from osm.core.envoy.route import OutboundHost
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.model.egress import EgressRules
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    Document,
    egress,
    http_group,
    identity,
    mesh_config,
    model,
    namespace,
    pod,
    proxy,
    service,
)

PODS = (pod("client"), pod("other", ip="10.0.0.2"))
ON = mesh_config(traffic={"enableEgress": True})
GROUP = http_group("g", {"name": "get", "pathRegex": "/get", "methods": ["GET"]})
SETTING: Document = {
    "apiVersion": "policy.openservicemesh.io/v1alpha1",
    "kind": "UpstreamTrafficSetting",
    "metadata": {"name": "s", "namespace": "default"},
    "spec": {"host": "x.test", "connectionSettings": {"tcp": {"maxConnections": 2}}},
}


def rules(found: Model, account: str = "client") -> EgressRules:
    return found.egress.get(identity(account), EgressRules())


def codes(found: Model) -> list[str]:
    return [f.code for f in found.findings if f.origin and f.origin.kind == "Egress"]


def listener(found: Model, workload: str = "client") -> OutboundListener:
    who = proxy(found, workload)
    value = value_of(catalog_of(found), who, types.LISTENER, names.OUTBOUND_LISTENER)
    assert isinstance(value, OutboundListener)
    return value


def host(found: Model, name: str, workload: str = "client") -> OutboundHost | None:
    value = value_of(catalog_of(found), proxy(found, workload), types.VIRTUAL_HOST, name)
    assert value is None or isinstance(value, OutboundHost)
    return value


def test_the_kind_acts() -> None:
    kind = find_kind("egress")
    assert kind is not None and kind.acts


def test_only_its_sources_may_leave() -> None:
    found = model(*PODS, egress("e", ["client"], ["http:80", "tcp:25"], "x.test"))
    assert rules(found).host("x.test", 80) and rules(found).connections[0].port == 25
    assert rules(found, "other") == EgressRules()
    assert host(found, "rds-outbound.80/x.test") is not None
    assert host(found, "rds-outbound.80/x.test", "other") is None
    assert listener(found, "other").egress == () and listener(found, "other").known_tcp is None


@pytest.mark.parametrize(
    ("objects", "expected", "opens"),
    [
        ((egress("e", ["client"], ["http:80"], "x.test", groups=["g"]),), ["OSM332"], False),
        ((egress("e", ["client"], ["http:80"], "x.test", groups=["g"]), GROUP), [], True),
        ((egress("e", ["client"], ["http:80"], "x.test", setting="s"),), ["OSM333"], False),
        ((egress("e", ["client"], ["http:80"], "x.test", setting="s"), SETTING), [], True),
        ((egress("e", ["client"], ["http:80"], "x.test"), ON), ["OSM331"], False),
        ((egress("e", ["client"], ["http:80"]),), [], False),
    ],
)
def test_what_is_missing_opens_nothing(
    objects: tuple[Document, ...], expected: list[str], *, opens: bool
) -> None:
    found = model(*PODS, *objects)
    assert codes(found) == expected
    assert bool(rules(found).http) == opens


def test_a_missing_setting_closes_also_what_is_not_http() -> None:
    found = model(*PODS, egress("e", ["client"], ["tcp:25"], setting="s"))
    assert rules(found) == EgressRules() and not found.egress_clusters


def test_where_pods_have_networks_of_their_own_a_gateway_is_the_way_out() -> None:
    options = msgspec.structs.replace(LOCAL, gateway="/run/out.sock")
    leaving = egress("e", ["client"], ["http:80", "tcp:25"], "x.test")
    found = model(*PODS, leaving, options=options)
    for name in ("x.test:80", "25"):
        value = egress_cluster_value(found, name)
        assert value is not None and value.gateway == "/run/out.sock"
        directly = egress_cluster_value(model(*PODS, leaving), name)
        assert directly == msgspec.structs.replace(value, gateway="")
    everything = egress_cluster_value(model(*PODS, ON, options=options), names.PASSTHROUGH_CLUSTER)
    assert everything == OriginalCluster(names.PASSTHROUGH_CLUSTER, gateway="/run/out.sock")


def test_a_namespace_outside_of_the_mesh_opens_nothing() -> None:
    away = egress("e", ["default/client"], ["tcp:25"], namespace="away")
    found = model(*PODS, namespace("away", ignore="true"), away)
    assert rules(found) == EgressRules() and codes(found) == ["OSM231"]


def test_connection_settings_limit_the_clusters_that_are_named() -> None:
    found = model(
        *PODS,
        SETTING,
        egress("e", ["client"], ["http:80", "tcp:25"], "x.test", setting="s"),
        egress("f", ["client"], ["http:80"], "y.test"),
    )
    assert set(found.egress_limits) == {"x.test:80", "25"}
    assert found.egress_limits["25"].connections.connections == 2


def test_grants_add_up_and_no_range_narrows_another_grant() -> None:
    narrow = egress("a", ["client"], ["http:80"], "x.test", ranges=["192.0.2.0/24"])
    other = egress("b", ["client"], ["http:80"], "x.test", ranges=["198.51.100.0/24"])
    both = rules(model(*PODS, narrow, other)).http[0].matches
    assert [m.ranges for m in both] == [("192.0.2.0/24", "198.51.100.0/24")]
    wide = egress("c", ["client"], ["http:80"], "x.test")
    assert [m.ranges for m in rules(model(*PODS, narrow, other, wide)).http[0].matches] == [()]


def test_overlapping_ranges_are_taken_apart() -> None:
    found = model(
        *PODS,
        egress("a", ["client"], ["tcp:443"], ranges=["10.0.0.0/8"]),
        egress("b", ["client"], ["https:443"], "x.test", ranges=["10.1.0.0/16", "192.0.2.0/24"]),
    )
    (port,) = listener(found).egress
    by_range = {r.range: (r.anything, r.server_names) for r in port.ranges}
    assert by_range == {
        "10.0.0.0/8": (True, ()),
        "10.1.0.0/16": (True, ("x.test",)),  # TCP to all of 10.0.0.0/8 is no less allowed here
        "192.0.2.0/24": (False, ("x.test",)),
    }


def test_where_servers_speak_first_nobody_waits_for_clients() -> None:
    found = model(*PODS, egress("e", ["client"], ["tcp-server-first:25", "https:443"]))
    assert {p.port: p.inspected for p in listener(found).egress} == {25: False, 443: True}
    found = model(*PODS, egress("e", ["client"], ["tcp:443", "https:443"]))
    assert not listener(found).egress[0].inspected  # what it asks for makes no difference


def test_the_meshs_own_services_come_first() -> None:
    found = model(
        *PODS,
        service("web", 80, app="other"),
        service("db", {"port": 8080, "name": "tcp-db"}, app="other", ip="10.1.0.2"),
        egress("e", ["client"], ["http:80", "http:8080"], "web", "db.default"),
        egress("f", ["client"], ["tcp:80"]),
    )
    served = host(found, "rds-outbound.80/web")
    assert served is not None and served.rules[0].origin.kind == "Service"
    # On port 8080 `web` is nothing, and so may be something else; the address of `db` is the mesh's.
    assert host(found, "rds-outbound.8080/db.default") is None
    value = listener(found)
    assert value.http_ports == (80, 8080)
    assert [(e.port, e.addresses) for e in value.tcp_exceptions] == [(8080, ("10.1.0.2",))]
    assert value.egress[0].mesh_http == ("10.1.0.1",)


@pytest.mark.parametrize("authority", ["*", "*.test", "x y", "[::1]", "x.test:99999", "x/../y", ""])
def test_mesh_wide_egress_makes_no_virtual_host_of_what_is_no_host(authority: str) -> None:
    found = model(*PODS, ON)
    assert host(found, f"rds-outbound.80/{authority}") is None
    assert host(found, "rds-outbound.80/x.test") is not None


def test_an_address_as_host_gives_nobody_else_a_way_out() -> None:
    found = model(*PODS, egress("e", ["client"], ["http:8080"], "192.0.2.1"))
    served = host(found, "rds-outbound.8080/192.0.2.1")
    assert served is not None
    catalog = catalog_of(found)
    ((cluster, _),) = served.rules[0].clusters
    assert value_of(catalog, proxy(found, "client"), types.CLUSTER, cluster).host == "192.0.2.1"  # type: ignore[union-attr]
    by_address = value_of(catalog, proxy(found, "other"), types.CLUSTER, "192.0.2.1:8080")
    assert type(by_address).__name__ == "NowhereCluster"


EXPLAINED = (
    egress("h", ["client"], ["http:80"], "x.test", groups=["g"]),
    egress("s", ["client"], ["https:443"], "x.test", "*.wild.test"),
    egress("t", ["client"], ["tcp:5432"], ranges=["192.0.2.0/24"]),
    GROUP,
)


@pytest.mark.parametrize(
    ("source", "destination", "method", "path", "verdict", "kinds"),
    [
        ("client", "x.test", "GET", "/get", "allowed", ["Egress", "HTTPRouteGroup"]),
        ("client", "x.test:80", "GET", "/no", "no route", ["Egress"]),
        ("client", "x.test:81", "GET", "/get", "no route", []),
        ("other", "x.test", "GET", "/get", "no route", []),
        ("client", "x.test:443", "", "", "allowed", ["Egress"]),
        ("client", "a.wild.test:443", "", "", "allowed", ["Egress"]),
        ("client", "wild.test:443", "", "", "no route", []),
        ("client", "192.0.2.7:5432", "", "", "allowed", ["Egress"]),
        ("client", "192.0.3.7:5432", "", "", "no route", []),
    ],
)
def test_explain_knows_what_leaves(
    source: str, destination: str, method: str, path: str, verdict: str, kinds: list[str]
) -> None:
    found = model(*PODS, *EXPLAINED)
    answer = explain(found, Question(source, destination, method, path))
    assert answer.verdict == verdict
    steps = [step for step in answer.steps if step.title == "egress"]
    assert [origin.kind for step in steps for origin in step.origins] == kinds


def test_explain_knows_mesh_wide_egress() -> None:
    answer = explain(model(*PODS, ON), Question("other", "y.test:9000"))
    assert answer.verdict == "allowed"
    assert any("enableEgress" in str(o) for step in answer.steps for o in step.origins)
