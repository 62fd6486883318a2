"""C2: regexes that RE2 refuses, that are too large, and that would take a backtracking engine forever."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.envoy.static import StaticEnvoy

from osm.core.api.decode import decode
from osm.core.api.regex import GREATEST_PROGRAM
from osm.core.envoy.bootstrap import REGEX_PROGRAM_LIMIT
from osm.core.model.request import Request, fits, path_fits
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    identity,
    ingress_backend,
    model,
    pod,
    service,
    split,
    target,
    upstream,
)

REFUSED: list[tuple[str, str, str]] = [
    ("back-reference", r"(a)\1", "OSM131"),
    ("named back-reference", "(?P<n>a)(?P=n)", "OSM131"),
    ("look-ahead", "(?=a)b", "OSM131"),
    ("negative look-ahead", "(?!admin).*", "OSM131"),
    ("look-behind", "(?<=a)b", "OSM131"),
    ("atomic group", "(?>a+)b", "OSM131"),
    ("possessive", "a++b", "OSM131"),
    ("conditional", "(a)?(?(1)b|c)", "OSM131"),
    ("recursion", "(a(?R)?b)", "OSM131"),
    ("open bracket", "(", "OSM131"),
    ("closing bracket", ")", "OSM131"),
    ("open class", "[a", "OSM131"),
    ("range upside down", "[z-a]", "OSM131"),
    ("repetition upside down", "a{3,2}", "OSM131"),
    ("nothing to repeat", "*", "OSM131"),
    ("escape at the end", "a\\", "OSM131"),
    ("unknown escape", r"\q", "OSM131"),
    ("unknown class", "[[:nope:]]", "OSM131"),
    ("half a character", "a\ud800", "OSM131"),
    ("1001 times", "a{1001}", "OSM131"),
    ("1000 times", "a{1000}", "OSM132"),
    ("1000 of any character", ".{1000}", "OSM132"),
    ("1,000 times by nesting", "((a{10}){10}){10}", "OSM132"),
    ("nested repetition and more", "(a{30}){30}b{200}", "OSM132"),
    ("many letters of all scripts", r"\pL{60}", "OSM132"),
    ("20,000 alternatives", "|".join(f"word{n}" for n in range(20_000)), "OSM132"),
    ("1,000 alternatives", "|".join(f"/{n:03x}" for n in range(1_000)), "OSM132"),
    ("1 MB", "a" * 1_000_000, "OSM132"),
    ("1 MB of brackets", "(" * 500_000 + ")" * 500_000, "OSM132"),
    ("one instruction too many", "a" * (GREATEST_PROGRAM - 3), "OSM132"),
]
TAKEN: list[tuple[str, str]] = [
    ("as large as can be", "a" * (GREATEST_PROGRAM - 4)),
    ("exponential for backtracking engines", "(a+)+$"),
    ("the same with alternatives", "(a|aa)+$"),
    ("the same with classes", "([a-z]+)*@"),
    ("a hundred stars", "x*" * 100),
    ("NUL", "a\x00b"),
    ("NUL, escaped", r"a\x00b"),
    ("line breaks", "a\r\nb"),
    ("beyond ASCII", "/é+"),
    ("any byte", r"\C"),
    ("flags", "(?is)a.b"),
    ("anchors of its own", r"\A^/a$\z"),
    ("a group with a name", "(?P<n>a)"),
    ("quoted", r"\Q(?!a)\E"),
    ("as a command", "$(id)`reboot`"),
    ("as a format", "%REQ(:path)%"),
    ("empty alternatives", "|"),
    ("an empty group", "()"),
]


def group_of(pattern: str) -> dict[str, Any]:
    match = {"name": "m", "pathRegex": pattern, "headers": [{"x-a": pattern}]}
    return dict(http_group("g", match))


@pytest.mark.parametrize(("pattern", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_re2_refuses_or_would_be_too_large_is_told_and_not_taken(
    pattern: str, code: str
) -> None:
    decoded = decode(group_of(pattern))
    assert decoded.manifest is None
    assert [f.code for f in decoded.findings] == [code, code]
    fields = [f.origin.field for f in decoded.findings if f.origin]
    assert fields == ["spec.matches[0].pathRegex", "spec.matches[0].headers[0].x-a"]
    assert all(f.hint and len(f.message) < 20_000 for f in decoded.findings)


def everywhere(pattern: str) -> list[Document]:
    """Access rules, a split, an egress, an ingress and a limit that look for what fits a pattern."""
    limit = {"path": pattern, "rateLimit": {"local": {"requests": 1, "unit": "second"}}}
    return [
        pod("shop"),
        pod("buyer", ip="10.0.0.2"),
        service("shop", 80),
        group_of(pattern),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
        split("s", "shop", {"shop": 1}, matches=["g"]),
        egress("e", ["buyer"], ["http:80"], "example.org", groups=["g"]),
        upstream("u", "shop.default.svc.cluster.local", {"httpRoutes": [limit]}),
        ingress_backend(
            "i",
            [{"name": "shop", "port": {"number": 80, "protocol": "http"}}],
            [{"kind": "IPRange", "name": "10.9.0.0/16"}],
            matches=["g"],
        ),
    ]


def test_envoy_takes_whatever_we_take_wherever_it_stands(tmp_path: Path) -> None:
    assert REGEX_PROGRAM_LIMIT == GREATEST_PROGRAM
    envoy = StaticEnvoy(tmp_path)
    for _, pattern in TAKEN:
        envoy.add_model(model(*everywhere(pattern)))
    assert envoy.validate() == ""


def test_an_empty_regex_is_any_path_and_a_header_that_is_empty(tmp_path: Path) -> None:
    """Envoy would refuse an empty one, and with it the whole route table."""
    found = model(
        pod("shop"),
        service("shop", 80),
        group_of(""),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
        split("s", "shop", {"shop": 1}, matches=["g"]),
    )
    (rule,) = found.access[identity("shop")]
    assert rule.http == HttpMatch(headers=(ValueMatch("x-a", "regex", ""),))
    assert [fits(rule.http, asked(value)) for value in ("", "1")] == [True, False]
    envoy = StaticEnvoy(tmp_path)
    envoy.add_model(found)
    assert envoy.validate() == ""


def asked(value: str) -> Request:
    return Request("GET", "/", "shop", (("x-a", value),))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a|a?)+$", "(a*)*b"])
def test_no_pattern_takes_longer_than_its_text(pattern: str) -> None:
    """A backtracking engine would need longer than there is time; this test's time-out is its proof."""
    assert decode(group_of(pattern)).manifest is not None
    assert not path_fits(PathMatch("regex", pattern), "a" * 50_000 + "!")
