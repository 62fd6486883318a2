"""What is told of an Egress and a Retry, seen with all other objects."""

import pytest
from tests.unit.compile.told import told

from osm.testing.builders import (
    Document,
    Part,
    egress,
    mesh_config,
    pod,
    retry,
    service,
    service_account,
)

MESH: tuple[Part, ...] = (pod("client", ip="10.0.0.2"), pod("shop"), service("shop", 80))


def of(kind: str, *parts: Part) -> list[tuple[str, str, str]]:
    return [each for each in told(*MESH, *parts) if each[2].startswith(kind)]


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["client"], []),
        (["clients"], [("warning", "[0]")]),
        (["client", "clients"], [("info", "[1]")]),
    ],
)
def test_a_source_that_nobody_runs_as_is_told(
    sources: list[str], found: list[tuple[str, str]]
) -> None:
    made = of("Egress", egress("e", sources, ["http:80"], "x.test"))
    assert made == [
        ("OSM337", severity, f"Egress default/e spec.sources{place}") for severity, place in found
    ]


@pytest.mark.parametrize(
    ("host", "port", "codes"),
    [
        ("shop", 80, ["OSM336"]),
        ("shop.default", 80, ["OSM336"]),
        ("shop.default.svc.cluster.local", 80, ["OSM336"]),
        ("shop.default.svc.cluster.local", 8080, []),
        ("shop.example.com", 80, []),
    ],
)
def test_a_host_that_is_a_service_of_the_mesh_is_told(
    host: str, port: int, codes: list[str]
) -> None:
    made = of("Egress", egress("e", ["client"], [f"http:{port}"], host))
    assert [code for code, _, _ in made] == codes


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (egress("f", ["client"], ["tcp:443"]), ["e"]),
        (egress("f", ["client"], ["tcp-server-first:443"]), ["e"]),
        (egress("f", ["client"], ["tcp:444"]), []),
        (egress("f", ["shop"], ["tcp:443"]), []),
        (egress("f", ["client"], ["https:443"], "y.test"), []),
        (egress("f", ["client"], ["tcp:443"], ranges=["192.0.2.0/24"]), ["e"]),
    ],
)
def test_a_port_that_is_open_for_everything_is_told_at_what_limits_nothing(
    other: Document, named: list[str]
) -> None:
    made = of("Egress", egress("e", ["client"], ["https:443"], "x.test"), other)
    assert made == [("OSM335", "warning", f"Egress default/{name} spec.ports") for name in named]


def test_ranges_that_do_not_meet_are_two_things() -> None:
    web = egress("e", ["client"], ["http:80"], "x.test", ranges=["198.51.100.0/24"])
    assert of("Egress", web, egress("f", ["client"], ["tcp:80"], ranges=["192.0.2.0/24"])) == []
    wide = egress("f", ["client"], ["tcp:80"], ranges=["198.51.0.0/16"])
    assert [code for code, _, _ in of("Egress", web, wide)] == ["OSM335"]


def test_a_retry_whose_source_nobody_runs_as_is_told() -> None:
    enabled = mesh_config(featureFlags={"enableRetryPolicy": True})
    assert of("Retry", enabled, retry("r", "client", ["shop"])) == []
    place = "Retry default/r spec.source"
    lost = retry("r", "lost", ["shop"])
    assert of("Retry", enabled, lost) == [("OSM365", "warning", place)]
    accounts = map(service_account, ("lost", "client", "shop"))
    assert of("Retry", enabled, lost, *accounts) == [("OSM365", "info", place)]
    assert [code for code, _, _ in of("Retry", lost)] == ["OSM361"]
