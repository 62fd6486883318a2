"""What is told of access rules that take effect nowhere, and of routes."""

import pytest
import re2
from tests.unit.compile.told import hints, told, words

from osm.core.compile.findings.routes import is_no_path
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    Part,
    egress,
    http_group,
    ingress_backend,
    namespace,
    pod,
    service,
    service_account,
    split,
    target,
    tcp_route,
)

WEB = {"port": 80, "targetPort": 8080, "appProtocol": "http"}
DB = {"port": 5432, "name": "tcp-db", "targetPort": 6432}
MESH: tuple[Part, ...] = (
    pod("shop"),
    service("shop", WEB),
    pod("db", ip="10.0.0.2"),
    service("db", DB, ip="10.1.0.2"),
    pod("buyer", ip="10.0.0.3"),
    http_group("g"),
)
PATHS = ("/", "/buy", "/buy/x", "/x", "/.well-known")
USED = target("used", "shop", ["db"], "HTTPRouteGroup/g")
"""Names the route group, so that it is not told that nobody does."""


def codes(*parts: Part) -> list[str]:
    return [code for code, _, _ in told(*MESH, USED, *parts)]


def test_a_target_whose_identities_are_somebody_is_nothing_to_tell() -> None:
    assert codes(target("t", "shop", ["buyer"], "HTTPRouteGroup/g")) == []


@pytest.mark.parametrize(
    ("sources", "more", "severities"),
    [
        (["gone"], [], ["warning"]),
        (["gone", "lost"], [], ["warning", "warning"]),
        (["buyer", "gone"], [], ["info"]),
        (["gone"], [service_account("gone"), service_account("buyer")], ["info"]),
        (["out/buyer", "buyer"], [namespace("out", ignore="true")], ["warning"]),
    ],
)
def test_a_source_that_nobody_runs_as_is_told(
    sources: list[str], more: list[Part], severities: list[str]
) -> None:
    rule = target("t", "shop", sources, "HTTPRouteGroup/g")
    found = [each for each in told(*MESH, USED, rule, *more) if each[0] == "OSM303"]
    assert [severity for _, severity, _ in found] == severities
    place = sources.index(next(source for source in sources if source != "buyer"))
    assert found[0][2] == f"TrafficTarget default/t spec.sources[{place}]"


def test_why_nobody_is_a_source_is_said() -> None:
    outside = target("t", "shop", ["out/buyer"], "HTTPRouteGroup/g")
    (why,) = words("OSM303", *MESH, namespace("out", ignore="true"), outside)
    assert why == "namespace out is not in the mesh, so nobody is let in because of it"
    lost = target("t", "shop", ["lost"], "HTTPRouteGroup/g")
    assert "which does not exist" not in words("OSM303", *MESH, lost)[0]
    assert "which does not exist" in words("OSM303", *MESH, service_account("db"), lost)[0]


def test_a_destination_that_nobody_runs_as_is_told_once() -> None:
    rule = target("t", "gone", ["buyer"], "HTTPRouteGroup/g", "TCPRoute/r")
    found = told(*MESH, tcp_route("r", 80), rule)
    assert found == [("OSM304", "warning", "TrafficTarget default/t spec.destination")]
    known = told(
        *MESH, tcp_route("r", 80), rule, *map(service_account, ("gone", "shop", "db", "buyer"))
    )
    assert found[0][2] == known[0][2] and known[0][1] == "info"  # fmt: skip


def test_what_grants_nothing_by_itself_is_not_told_again() -> None:
    assert codes(target("t", "gone", ["lost"], "HTTPRouteGroup/gone")) == ["OSM301"]


@pytest.mark.parametrize(
    ("destination", "rules", "ports", "found"),
    [
        ("db", ["HTTPRouteGroup/g"], (), [("OSM306", "[0]")]),
        ("shop", ["TCPRoute/r"], (), [("OSM306", "[0]")]),
        ("db", ["TCPRoute/r"], (), []),
        ("db", ["TCPRoute/r"], (6432,), []),
        ("db", ["TCPRoute/r"], (5432,), [("OSM307", "[0]")]),
        ("db", ["TCPRoute/r"], (5432, 6432), []),
        ("shop", ["HTTPRouteGroup/g", "TCPRoute/r"], (8080,), []),
        ("shop", ["HTTPRouteGroup/g", "TCPRoute/r"], (80,), [("OSM307", "[0]"), ("OSM307", "[1]")]),
        ("buyer", ["HTTPRouteGroup/g"], (), [("OSM306", "[0]")]),
    ],
)  # fmt: skip
def test_a_rule_fits_some_port_of_its_destination(
    destination: str, rules: list[str], ports: tuple[int, ...], found: list[tuple[str, str]]
) -> None:
    rule = target("t", destination, ["buyer"], *rules)
    made = [
        (code, place) for code, _, place in told(*MESH, USED, tcp_route("r", *ports), rule)
        if code != "OSM309"
    ]  # fmt: skip
    assert made == [(code, f"TrafficTarget default/t spec.rules{place}") for code, place in found]


def test_a_services_port_in_place_of_the_pods_is_recognised() -> None:
    rule = target("t", "db", ["buyer"], "TCPRoute/r")
    (hint,) = hints("OSM307", *MESH, tcp_route("r", 5432), rule)
    assert hint.startswith("5432 is the service's port.") and hint.endswith("6432.")


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        (["buyer"], ["buyer"], ["b"]),
        (["buyer"], ["buyer", "db"], ["a"]),
        (["buyer", "db"], ["db"], ["b"]),
        (["buyer"], ["db"], []),
    ],
)
def test_what_another_object_grants_wholly_is_told(
    one: list[str], other: list[str], named: list[str]
) -> None:
    found = told(
        *MESH,
        target("a", "shop", one, "HTTPRouteGroup/g"),
        target("b", "shop", other, "HTTPRouteGroup/g"),
    )
    assert found == [("OSM308", "info", f"TrafficTarget default/{name}") for name in named]


@pytest.mark.parametrize(
    "user",
    [
        target("t", "shop", ["buyer"], "HTTPRouteGroup/h"),
        split("s", "shop", {"shop": 1, "v1": 1}, matches=("h",)),
        egress("e", ["buyer"], ["http:80"], "x.test", groups=("h",)),
        ingress_backend(
            "i",
            [{"name": "shop", "port": {"number": 8080, "protocol": "http"}}],
            [{"kind": "IPRange", "name": "10.0.0.0/8"}],
            matches=("h",),
        ),
    ],
    ids=lambda user: str(user["kind"]),
)
def test_routes_that_somebody_names_are_used(user: Document) -> None:
    parts = (*MESH, USED, service("v1", WEB, app="shop", ip="10.1.0.4"))
    group = http_group("h", {"name": "m", "pathRegex": "/h"})
    unused = ("OSM309", "info", "HTTPRouteGroup default/h")
    assert unused in told(*parts, group) and unused not in told(*parts, group, user)
    assert ("OSM309", "info", "TCPRoute default/r") in told(tcp_route("r", 1))


@pytest.mark.parametrize("regex", ["buy", "buy.*", "^buy", r"\.well-known", "a+/x"])
def test_a_regex_that_begins_with_another_character_than_a_slash_fits_no_path(regex: str) -> None:
    assert is_no_path(regex)
    assert not any(re2.fullmatch(regex, path) for path in PATHS)


@pytest.mark.parametrize(
    "regex",
    [
        "",
        "/buy",
        "^/buy",
        r"\/buy",
        ".*buy",
        "a*/buy",
        "a?/buy",
        "a{0,2}/buy",
        "(/buy|b)",
        "a|/buy",
    ],
)
def test_of_no_other_regex_is_that_said(regex: str) -> None:
    assert not is_no_path(regex)
    assert not regex or any(re2.fullmatch(regex, path) for path in PATHS)


def test_a_path_that_nothing_fits_is_told_at_its_match() -> None:
    matches: list[Document] = [{"name": "a", "pathRegex": "/a"}, {"name": "b", "pathRegex": "b.*"}]
    found = told(
        *MESH[:-1], http_group("g", *matches), target("t", "shop", ["buyer"], "HTTPRouteGroup/g")
    )
    assert found == [("OSM305", "warning", "HTTPRouteGroup default/g spec.matches[1].pathRegex")]


def test_permissive_mode_is_told_where_access_rules_are() -> None:
    field = "spec.traffic.enablePermissiveTrafficPolicyMode"
    assert told(*MESH[:-1], PERMISSIVE) == []
    assert told(*MESH, USED, PERMISSIVE) == [
        ("OSM323", "info", f"MeshConfig osm-system/osm-mesh-config {field}")
    ]
