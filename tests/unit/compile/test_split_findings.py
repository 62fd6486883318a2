"""What is told of splits that take effect."""

from collections.abc import Sequence

import pytest
from tests.unit.compile.told import told

from osm.testing.builders import (
    PERMISSIVE,
    Document,
    Part,
    http_group,
    pod,
    service,
    split,
    target,
)

NAMES = ("root", "v1", "v2", "v3")
PODS = tuple(pod(name, ip=f"10.0.0.{i + 1}") for i, name in enumerate(NAMES))


def services(**other: Document) -> tuple[Part, ...]:
    return tuple(
        service(name, other.get(name, {"port": 80, "name": "http"}), ip=f"10.1.0.{i + 1}")
        for i, name in enumerate(NAMES)
    )


def of_split(*parts: Part) -> list[tuple[str, str, str]]:
    found = (each for each in told(*parts) if each[0] != "OSM309")
    return [
        (code, severity, place.removeprefix("TrafficSplit default/"))
        for code, severity, place in found
    ]


def test_a_split_among_services_with_workloads_is_nothing_to_tell() -> None:
    assert of_split(*PODS, *services(), split("s", "root", {"v1": 1, "v2": 1})) == []
    assert of_split(*PODS, *services(), split("s", "root", {"root": 9, "v2": 1})) == []


@pytest.mark.parametrize(
    ("weight", "found"), [(1, [("OSM314", "warning", "s spec.backends[1]")]), (0, [])]
)
def test_a_backend_without_workloads_is_told_at_the_split(
    weight: int, found: list[tuple[str, str, str]]
) -> None:
    made = of_split(*PODS[:2], *services()[:3], split("s", "root", {"v1": 1, "v2": weight}))
    rest = [("OSM202", "warning", "Service default/v2 spec.selector")] if not weight else []
    assert made == [*rest, *found]


def test_a_backend_that_does_not_exist_is_told_once() -> None:
    made = of_split(*PODS, *services(), split("s", "root", {"v1": 1, "gone": 1}))
    assert made == [("OSM313", "error", "s spec.backends[1]")]


def test_a_split_without_effect_has_no_other_findings() -> None:
    made = of_split(*PODS, *services()[:3], split("s", "gone", {"v3": 1, "root": 1}))
    assert made == [("OSM311", "error", "s spec.service")]


@pytest.mark.parametrize(
    ("spoken", "found"),
    [("tcp", [("OSM315", "warning", "s spec.backends[1]")]), ("grpc", []), ("http2", [])],
)
def test_a_backend_speaks_what_its_root_speaks(
    spoken: str, found: list[tuple[str, str, str]]
) -> None:
    parts = services(v2={"port": 80, "appProtocol": spoken})
    assert of_split(*PODS, *parts, split("s", "root", {"v1": 1, "v2": 1})) == found


@pytest.mark.parametrize(
    ("splits", "found"),
    [
        ([split("s", "root", {"root": 1})], [("warning", "s spec.backends[0]")]),
        ([split("s", "root", {"root": 1, "v1": 0})], [("warning", "s spec.backends[0]")]),
        (
            [split("s", "root", {"v1": 1}), split("t", "v1", {"root": 1})],
            [("warning", "s spec.backends[0]"), ("warning", "t spec.backends[0]")],
        ),
        (
            [split("s", "root", {"v1": 1}), split("t", "v1", {"v2": 1})],
            [("info", "s spec.backends[0]")],
        ),
        (
            [
                split("s", "root", {"v3": 1, "v1": 1}),
                split("t", "v1", {"v2": 1}),
                split("u", "v2", {"root": 1}),
            ],
            [
                ("warning", "s spec.backends[1]"),
                ("warning", "t spec.backends[0]"),
                ("warning", "u spec.backends[0]"),
            ],
        ),
        (
            [split("s", "root", {"v1": 1}), split("t", "v1", {"v2": 1}), split("u", "v2", {"v1": 1})],
            [
                ("info", "s spec.backends[0]"),
                ("warning", "t spec.backends[0]"),
                ("warning", "u spec.backends[0]"),
            ],
        ),
    ],
)  # fmt: skip
def test_a_split_that_leads_to_another_or_back_is_told(
    splits: Sequence[Part], found: list[tuple[str, str]]
) -> None:
    made = of_split(*PODS, *services(), *splits)
    assert sorted(made) == sorted(("OSM316", severity, place) for severity, place in found)


@pytest.mark.parametrize(
    ("callers", "found"),
    [
        ({}, []),
        ({"v1": "v3"}, [("OSM317", "warning", "s spec.backends[1]")]),
        ({"v1": "v3", "v2": "v3"}, []),
        ({"v1": "v3", "v2": "root"}, []),
    ],
)
def test_a_backend_that_nobody_may_call_is_told(
    callers: dict[str, str], found: list[tuple[str, str, str]]
) -> None:
    parts = (
        *PODS,
        *services(),
        http_group("g"),
        *(target(to, to, [source], "HTTPRouteGroup/g") for to, source in callers.items()),
        split("s", "root", {"v1": 1, "v2": 1}),
    )
    assert of_split(*parts) == found
    permissive = [each for each in of_split(*parts, PERMISSIVE) if each[0] == "OSM317"]
    assert permissive == []


@pytest.mark.parametrize(
    ("matches", "found"),
    [
        (("all", "beta"), [("OSM318", "warning", "s spec.matches[1]")]),
        (("beta", "all"), []),
        (("all",), []),
    ],
)
def test_a_match_after_one_that_fits_everything_is_told(
    matches: Sequence[str], found: list[tuple[str, str, str]]
) -> None:
    groups = (
        http_group("beta", {"name": "m", "pathRegex": "/b"}),
        http_group("all", {"name": "one", "methods": ["GET"]}, {"name": "any"}),
    )
    made = of_split(
        *PODS, *services(), *groups, split("s", "root", {"v1": 1, "v2": 1}, matches=matches)
    )
    assert made == found


def test_matches_do_not_split_connections() -> None:
    tcp: Document = {"port": 80, "name": "tcp"}
    parts = services(root=tcp, v1=tcp, v2=tcp)
    made = of_split(
        *PODS, *parts, http_group("g"), split("s", "root", {"v1": 1, "v2": 1}, matches=("g",))
    )
    assert made == [("OSM319", "warning", "s spec.matches")]
