"""An UpstreamTrafficSetting becomes the limits of a service, and says when it has no effect."""

import pytest

from osm.core.model.mesh import Model
from osm.core.model.service import ServiceName
from osm.core.model.upstream import ConnectionLimits, Rate, UpstreamLimits
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    egress,
    http_group,
    model,
    pod,
    service,
    split,
    target,
    upstream,
)

HOST = "shop.default.svc.cluster.local"
MESH = (
    pod("client"),
    pod("shop", ip="10.0.0.2"),
    service("shop", 80),
    service("db", {"port": 5432, "name": "tcp-db"}, app="shop", ip="10.1.0.2"),
)
LIMIT = {"requests": 3, "unit": "minute", "burst": 2}
OF_HOST: Document = {"rateLimit": {"local": {"http": LIMIT}}}
CIRCUIT: Document = {"connectionSettings": {"http": {"maxRequests": 0}}}


def of_routes(*paths: str) -> Document:
    return {"httpRoutes": [{"path": path, "rateLimit": {"local": LIMIT}} for path in paths]}


def limits(found: Model, name: str = "shop") -> UpstreamLimits | None:
    return found.upstreams.get(ServiceName("default", name))


def codes(found: Model) -> list[str]:
    return [finding.code for finding in found.findings]


def test_all_limits_of_a_service_are_those_that_were_written() -> None:
    spec = {
        "connectionSettings": {
            "tcp": {"maxConnections": 0, "connectTimeout": "1.5s"},
            "http": {"maxRequestsPerConnection": 2},
        },
        "rateLimit": {"local": {"tcp": {"connections": 1, "unit": "hour"}, "http": LIMIT}},
    }
    one = limits(model(*MESH, PERMISSIVE, upstream("u", HOST.upper() + ".", spec)))
    assert one is not None and one.http is not None
    assert one.connections == ConnectionLimits(
        connections=0, requests_per_connection=2, connect_timeout_ns=1_500_000_000
    )
    assert one.tcp == Rate(1, 3600, 0)
    assert (one.http.rate, one.http.status) == (Rate(3, 60, 2), 429)
    assert str(one.http.origin) == "UpstreamTrafficSetting default/u spec.rateLimit.local.http"


def test_a_route_that_takes_every_path_stands_last() -> None:
    one = limits(model(*MESH, upstream("u", HOST, of_routes("/b", ".*", "/a"))))
    assert one is not None
    assert [route.path for route in one.routes] == ["/b", "/a", ".*"]


@pytest.mark.parametrize(
    "host",
    [
        "nobody.default.svc.cluster.local",
        "shop.elsewhere.svc.cluster.local",
        "shop.default",
        "shop.default.svc.example.org",
        "a.b.c.default.svc.cluster.local",
    ],
)
def test_a_host_that_no_service_of_the_namespace_has_is_told(host: str) -> None:
    found = model(*MESH, upstream("u", host, CIRCUIT))
    assert codes(found) == ["OSM371"] and limits(found) is None


def test_the_oldest_of_two_settings_wins_whole() -> None:
    found = model(
        *MESH,
        upstream("a", HOST, OF_HOST, created="2025-01-01T00:00:00Z"),
        upstream("b", HOST, CIRCUIT, created="2024-01-01T00:00:00Z"),
    )
    one = limits(found)
    assert one is not None and one.origin.name == "b" and one.http is None
    assert codes(found) == ["OSM372"]


@pytest.mark.parametrize(
    ("parts", "unknown"),
    [
        ([PERMISSIVE], ["/buy", "/b.*"]),
        (
            [
                http_group("g", {"name": "m", "pathRegex": "/buy"}),
                target("t", "shop", ["client"], "HTTPRouteGroup/g"),
            ],
            ["/b.*", ".*"],
        ),
        ([http_group("g"), target("t", "shop", ["client"], "HTTPRouteGroup/g")], ["/buy", "/b.*"]),
        ([], ["/buy", "/b.*", ".*"]),
    ],
)
def test_a_path_that_no_route_has_is_told(parts: list[Document], unknown: list[str]) -> None:
    found = model(*MESH, *parts, upstream("u", HOST, of_routes("/buy", "/b.*", ".*")))
    told = [f.message.split("'")[1] for f in found.findings if f.code == "OSM373"]
    assert told == unknown


def test_limits_of_http_for_a_service_that_speaks_none_are_told() -> None:
    found = model(*MESH, upstream("u", "db.default.svc.cluster.local", {**OF_HOST, **CIRCUIT}))
    assert codes(found) == ["OSM375", "OSM375"]


def test_a_host_beyond_the_mesh_is_right_where_an_egress_names_it() -> None:
    setting = upstream("u", "example.org", {**CIRCUIT, **OF_HOST})
    names_it = egress("e", ["client"], ["http:80"], "example.org", setting="u")
    assert codes(model(*MESH, setting)) == ["OSM371"]
    assert codes(model(*MESH, setting, names_it)) == ["OSM376"]


def test_the_services_whose_traffic_a_split_gives_away_are_known() -> None:
    found = model(*MESH, service("root", 80, ip="10.1.0.3"), split("s", "root", {"shop": 1}))
    roots = {leaf.service.name: [r.service.name for r in of] for leaf, of in found.roots_of.items()}
    assert roots == {"shop": ["root"]}


def test_of_two_limits_of_one_port_the_first_by_name_counts_and_the_other_is_told() -> None:
    tcp: Document = {"rateLimit": {"local": {"tcp": {"connections": 1, "unit": "hour"}}}}
    alias = upstream("z", "alias.default.svc.cluster.local", tcp)
    found = model(
        *MESH, service("alias", 80, app="shop", ip="10.1.0.3"), upstream("a", HOST, tcp), alias
    )
    (finding,) = found.findings
    assert finding.code == "OSM377" and finding.origin is not None
    assert finding.origin.name == "a" and "default/alias" in finding.message
