"""What OSM's table tests say of the receiving side, where no other test of ours says it already."""

from tests.unit.envoy.asking import catalog_of, rendered, value_of

from osm.core.compile.build import Compiler
from osm.core.envoy.access import TcpAccess
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.model.access import AccessRule
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    PERMISSIVE,
    Document,
    http_group,
    identity,
    manifests,
    model,
    namespace,
    pod,
    port_name,
    proxy,
    service,
    split,
    target,
)

BUY = {"name": "buy", "pathRegex": "/buy"}
SELL = {"name": "sell", "pathRegex": "/sell"}
SHOP = (
    pod("shop-1", app="shop", ip="10.0.0.1"),
    pod("buyer", ip="10.0.0.2"),
    http_group("g", BUY),
    http_group("h", SELL),
)


def rules(found: Model, port: int, workload: str = "shop-1") -> tuple[AccessRule, ...]:
    """The access rules of one HTTP port, as the proxy of a workload gets them."""
    name = f"rds-inbound.{port}"
    value = value_of(catalog_of(found), proxy(found, workload), types.ROUTE, name)
    assert isinstance(value, InboundRoutes)
    return value.access.rules


def test_rules_of_an_account_hold_for_every_service_of_its_pods() -> None:
    found = model(
        *SHOP,
        pod("depot", account="shop", ip="10.0.0.3"),
        service("one", 80, app="shop"),
        service("two", 81, app="shop", ip="10.1.0.2"),
        service("depot", 82, ip="10.1.0.3"),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
    )
    wanted = found.access[identity("shop")]
    assert len(wanted) == 1
    assert rules(found, 80) == rules(found, 81) == rules(found, 82, "depot") == wanted


def test_several_route_groups_of_one_target_are_all_allowed() -> None:
    found = model(
        *SHOP,
        service("shop", 80),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g", "HTTPRouteGroup/h/sell"),
    )
    paths = [rule.http.path.value for rule in rules(found, 80) if rule.http and rule.http.path]
    assert paths == ["/buy", "/sell"]


def test_a_match_that_is_allowed_twice_is_allowed() -> None:
    """OSM took the second for a no-op; here each keeps its name, and either may go."""
    twice = model(
        *SHOP,
        service("shop", 80),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g", "HTTPRouteGroup/g"),
        target("u", "shop", ["buyer"], "HTTPRouteGroup/g"),
    )
    found = rules(twice, 80)
    assert len({rule.http for rule in found}) == 1
    assert [rule.origin.name for rule in found] == ["t", "t", "u"]


def test_ports_that_speak_tcp_have_no_http_routes() -> None:
    found = model(
        *SHOP,
        service("shop", {"port": 80, "name": "http-web"}, {"port": 5432, "name": "tcp-db"}),
    )
    catalog, who = catalog_of(found), proxy(found, "shop-1")
    assert isinstance(value_of(catalog, who, types.ROUTE, "rds-inbound.80"), InboundRoutes)
    assert value_of(catalog, who, types.ROUTE, "rds-inbound.5432") is None
    assert isinstance(value_of(catalog, who, types.EXTENSION, "tcp-access.5432"), TcpAccess)
    assert value_of(catalog, who, types.EXTENSION, "tcp-access.80") is None


def test_a_split_means_the_same_in_permissive_mode() -> None:
    parts: list[Document] = [
        *SHOP,
        service("shop", 80),
        service("v2", 80, app="shop", ip="10.1.0.2"),
        split("s", "shop", {"shop": 3, "v2": 1}),
    ]
    strict, permissive = model(*parts), model(PERMISSIVE, *parts)
    assert permissive.routes == strict.routes
    assert len(permissive.routes[port_name("shop:80")].rules[0].backends) == 2


def test_a_namespace_that_joins_or_leaves_counts_at_once() -> None:
    """OSM took no notice until something else happened."""
    options = LOCAL
    parts = manifests(
        *SHOP, service("shop", 80), target("t", "shop", ["buyer"], "HTTPRouteGroup/g")
    )
    (ignored,) = manifests(namespace("default", ignore="true"))
    compiler = Compiler(options, parts)
    before = rendered(compiler.model)
    compiler.update(applied=[ignored])
    assert (compiler.model.workloads, compiler.model.services, compiler.model.access) == (
        {},
        {},
        {},
    )
    compiler.update(deleted=[ignored.key])
    assert rendered(compiler.model) == before
