"""C4: objects that are larger than anybody writes. Counted here; how long they take, the bench says."""

import pytest
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.api.decode import decode
from osm.core.api.manifest import Manifest
from osm.core.api.yaml_text import parse
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.envoy.outbound import OutboundListener
from osm.core.envoy.render import render
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    identity,
    manifests,
    model,
    pod,
    port_name,
    proxy,
    service,
    split,
    target,
    upstream,
)

MESH = (pod("shop"), pod("buyer", ip="10.9.0.1"), service("shop", 80))
MEGABYTE = 2**20


def group(name: str, matches: int, size: int = 0) -> Document:
    paths = (f"/{name}/{number}/{'a' * size}" for number in range(matches))
    return http_group(name, *({"name": f"m{n}", "pathRegex": p} for n, p in enumerate(paths)))


def routes_of(found: Model) -> InboundRoutes:
    value = value_of(catalog_of(found), proxy(found, "shop"), types.ROUTE, "rds-inbound.80")
    assert isinstance(value, InboundRoutes)
    return value


def test_an_object_of_a_megabyte_is_taken() -> None:
    large = group("g", 1100, 960)
    (manifest,) = manifests(large)
    assert sum(len(m.path_regex) for m in manifest.object.spec.matches) > MEGABYTE
    found = model(*MESH, manifest, target("t", "shop", ["buyer"], "HTTPRouteGroup/g"))
    assert len(routes_of(found).access.rules) == 1100


def test_a_thousand_matches_of_one_group_are_a_thousand_rules() -> None:
    found = model(*MESH, group("g", 1000), target("t", "shop", ["buyer"], "HTTPRouteGroup/g"))
    assert len(found.access[identity("shop")]) == 1000


def test_five_thousand_splits_are_as_many_routes() -> None:
    parts: list[Document] = []
    for n in range(5000):
        parts.append(service(f"s{n}", 80, ip=f"10.{n >> 8}.0.{n & 255}"))
        parts.append(split(f"x{n}", f"s{n}", {f"s{(n + 1) % 5000}": 1}))
    found = model(*parts)
    assert len(found.routes) == 5000
    assert all(
        route.rules[0].origin.kind == "TrafficSplit"
        and route.rules[0].backends[0].port != route.port
        for route in found.routes.values()
    )


@pytest.fixture(scope="module")
def many_routes() -> tuple[Manifest, ...]:
    """Twenty groups of 1,000 matches."""
    return manifests(*(group(f"g{n}", 1000) for n in range(20)))


def test_twenty_thousand_access_rules_are_built(many_routes: tuple[Manifest, ...]) -> None:
    """Eight megabytes for one port of one workload. Envoy gets them in `tests/mesh/test_sizes.py`."""
    rules = [f"HTTPRouteGroup/g{n}" for n in range(20)]
    found = model(*MESH, *many_routes, target("t", "shop", ["buyer"], *rules))
    value = routes_of(found)
    assert len(value.access.rules) == 20_000
    assert len(render(value).wire) > 4 * MEGABYTE


def test_twenty_thousand_routes_of_one_host_are_built(many_routes: tuple[Manifest, ...]) -> None:
    groups = [f"g{n}" for n in range(20)]
    found = model(*MESH, *many_routes, split("s", "shop", {"shop": 1}, matches=groups))
    assert len(found.routes[port_name("shop:80")].rules[0].matches) == 20_000
    host = value_of(
        catalog_of(found), proxy(found, "buyer"), types.VIRTUAL_HOST, "rds-outbound.80/shop"
    )
    assert host is not None
    assert len(render(host).wire) > MEGABYTE


def test_ten_thousand_ranges_of_one_caller_are_built() -> None:
    """Each range was held against each other one: it took minutes, and nobody else was served."""
    found = model(
        *MESH,
        *(
            egress(
                f"e{n}",
                ["buyer"],
                ["tcp:5432"],
                ranges=[f"10.{n}.{i >> 8}.{i & 255}/32" for i in range(1000)],
            )
            for n in range(10)
        ),
    )
    listener = value_of(
        catalog_of(found), proxy(found, "buyer"), types.LISTENER, "outbound-listener"
    )
    assert isinstance(listener, OutboundListener)
    (port,) = listener.egress
    assert (port.port, len(port.ranges)) == (5432, 10_000)
    assert len(render(listener).wire) > 500_000


HEADER = "x" * 65_536
TOO_LARGE: list[tuple[str, Document, str]] = [
    ("a header value of 64 KB", http_group("g", {"name": "m", "headers": [{"x-a": HEADER}]}), "OSM132"),
    ("a path of 64 KB", http_group("g", {"name": "m", "pathRegex": "/" + HEADER}), "OSM132"),
    ("a name of a header of 64 KB", http_group("g", {"name": "m", "headers": [{HEADER: "1"}]}), "OSM136"),
    ("a name of 254 characters", pod("p" * 254, app="p"), "OSM120"),
    ("a service of 64 characters", service("s" * 64, 80, app="p"), "OSM120"),
    ("a namespace of 64 characters", pod("p", namespace="n" * 64), "OSM121"),
    ("1,001 hosts", egress("e", ["a"], ["http:80"], *(f"h{n}.org" for n in range(1001))), "OSM119"),
    ("1,001 ranges",
     egress("e", ["a"], ["tcp:80"], ranges=[f"10.{n >> 8}.{n & 255}.0/24" for n in range(1001)]),
     "OSM119"),
    ("1,001 routes with limits",
     upstream("u", "a.b", {"httpRoutes": [{"path": f"/{n}"} for n in range(1001)]}), "OSM119"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "code"), [r[1:] for r in TOO_LARGE], ids=[r[0] for r in TOO_LARGE]
)
def test_what_is_too_large_is_refused_in_a_few_words(part: Document, code: str) -> None:
    decoded = decode(part)
    assert decoded.manifest is None
    (finding,) = [f for f in decoded.findings if f.code == code]
    assert finding.origin is not None and finding.origin.field
    assert len(finding.message) < 600


def test_names_of_253_characters_are_names_everywhere() -> None:
    long = "p" * 253
    found = model(
        pod(long, app="p", account="a" * 253),
        service("s" * 63, 80, app="p", namespace="default"),
        http_group(long),
        target(long, "a" * 253, ["b" * 253], f"HTTPRouteGroup/{long}"),
    )
    assert len(found.access) == 1
    value = value_of(
        catalog_of(found), proxy(found, f"default/{long}"), types.ROUTE, "rds-inbound.80"
    )
    assert isinstance(value, InboundRoutes)
    assert len(value.access.rules) == 1 and b"b" * 253 in render(value).wire


def test_a_file_above_the_limit_is_refused_with_the_limit() -> None:
    (finding,) = parse(b"#" * (10 * MEGABYTE + 1), file="f.yaml").findings
    assert (finding.code, finding.where) == ("OSM002", "f.yaml")
    assert "10" in finding.message + finding.hint
