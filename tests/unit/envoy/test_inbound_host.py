"""Which limit counts for which authority of a workload's port."""

from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.envoy.catalog import Value
from osm.core.envoy.inbound_host import InboundHost, inbound_hosts
from osm.core.envoy.render import render
from osm.core.model.mesh import Model
from osm.core.model.upstream import ANY_PATH
from osm.core.xds import types
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    mesh_config,
    model,
    pod,
    port_name,
    proxy,
    retry,
    service,
    split,
    upstream,
)

LIMIT = {"requests": 3, "unit": "minute"}
MESH = (
    PERMISSIVE,
    pod("shop"),
    service("shop", 80, 81),
    service("alias", 80, app="shop", ip="10.1.0.2"),
)
NAMES = (port_name("alias:80"), port_name("shop:80"))


def limited(name: str) -> Document:
    spec = {"rateLimit": {"local": {"http": LIMIT}}}
    return upstream(name, f"{name}.default.svc.cluster.local", spec)


def hosts(found: Model) -> dict[str, InboundHost]:
    made = inbound_hosts(found, NAMES, frozenset({ANY_PATH}))
    return {host.name.partition(".")[0]: host for host in made}


def test_without_limits_requests_are_not_told_apart() -> None:
    assert hosts(model(*MESH)) == {}
    only_callers = {"connectionSettings": {"tcp": {"maxConnections": 1}}}
    assert hosts(model(*MESH, upstream("u", "shop.default.svc.cluster.local", only_callers))) == {}


def test_the_first_service_has_every_authority_that_belongs_to_no_other() -> None:
    found = hosts(model(*MESH, limited("shop")))
    assert found["alias"].domains == ("*",) and found["alias"].limit is None
    assert found["shop"].limit is not None
    assert {"shop", "shop:80", "shop.default.svc.cluster.local", "10.1.0.1"} <= {
        *found["shop"].domains
    }
    found = hosts(model(*MESH, limited("alias")))
    assert found["alias"].limit is not None and found["shop"].limit is None


def test_what_comes_by_a_split_has_the_limit_of_the_root() -> None:
    root = (service("root", 80, app="nobody", ip="10.1.0.3"), split("s", "root", {"shop": 1}))
    found = hosts(model(*MESH, *root, limited("root")))
    assert {name for name, host in found.items() if host.limit} == {"root"}
    assert "root.default" in found["root"].domains


def test_no_domain_stands_in_two_hosts() -> None:
    twice = service("twin", 80, app="shop", ip="10.1.0.1")
    made = inbound_hosts(
        model(*MESH, twice, limited("shop")),
        (*NAMES, port_name("twin:80")),
        frozenset({ANY_PATH}),
    )
    domains = [domain for host in made for domain in host.domains]
    assert len(domains) == len(set(domains))


def test_a_retry_changes_the_virtual_host_of_its_source_only() -> None:
    found = model(
        pod("a"),
        pod("b", ip="10.0.0.2"),
        pod("c", ip="10.0.0.3"),
        service("shop", 80, app="a"),
        mesh_config(featureFlags={"enableRetryPolicy": True}),
        retry("r", "a", ["shop"]),
    )
    catalog = catalog_of(found)

    def asked(workload: str) -> Value:
        name = "rds-outbound.80/shop"
        value = value_of(catalog, proxy(found, workload), types.VIRTUAL_HOST, name)
        assert value is not None
        return value

    assert asked("b") == asked("c") != asked("a")
    assert "Retry default/r spec.retryPolicy" in map(str, render(asked("a")).origins)
    assert all(origin.kind == "Service" for origin in render(asked("b")).origins)
