"""TrafficTargets, HTTPRouteGroups and TCPRoutes become access rules: allow only, by identity."""

import pytest

from osm.core.model.access import AccessRule
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin, Severity
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch
from osm.testing.builders import Part, http_group, identity, model, pod, service, target, tcp_route

ACCESS, SPECS = "access.smi-spec.io", "specs.smi-spec.io"
BUY = {"name": "buy", "pathRegex": "/buy", "methods": ["GET"]}
SELL = {"name": "sell", "pathRegex": "/sell", "methods": ["POST"]}

V1ALPHA1 = """
apiVersion: access.smi-spec.io/v1alpha1
kind: TrafficTarget
metadata: {name: t, namespace: default}
destination: {kind: ServiceAccount, name: shop, namespace: default}
sources: [{kind: ServiceAccount, name: buyer, namespace: default}]
specs: [{kind: HTTPRouteGroup, name: routes, matches: [buy]}]
"""
V1ALPHA2 = """
apiVersion: access.smi-spec.io/v1alpha2
kind: TrafficTarget
metadata: {name: t, namespace: default}
spec:
  destination: {kind: ServiceAccount, name: shop, namespace: default}
  rules: [{kind: HTTPRouteGroup, name: routes, matches: [buy]}]
  sources: [{kind: ServiceAccount, name: buyer, namespace: default}]
"""
V1ALPHA3 = V1ALPHA2.replace("v1alpha2", "v1alpha3")
GROUPS = [
    """
apiVersion: specs.smi-spec.io/v1alpha1
kind: HTTPRouteGroup
metadata: {name: routes, namespace: default}
matches: [{name: buy, pathRegex: /buy, methods: [GET]}]
""",
    """
apiVersion: specs.smi-spec.io/v1alpha3
kind: HTTPRouteGroup
metadata: {name: routes, namespace: default}
spec: {matches: [{name: buy, pathRegex: /buy, methods: [GET]}]}
""",
]
GROUPS += [GROUPS[0].replace("v1alpha1", "v1alpha2"), GROUPS[1].replace("v1alpha3", "v1alpha4")]


def rules(found: Model, destination: str = "shop") -> tuple[AccessRule, ...]:
    return found.access.get(identity(destination), ())


def paths(found: Model) -> list[str]:
    """What is allowed by HTTP, as `path` or `*`, with the ports if they are limited."""
    return [
        (rule.http.path.value if rule.http.path else "*")
        + (f" {list(rule.ports)}" if rule.ports else "")
        for rule in rules(found)
        if rule.http
    ]


def tcp(found: Model) -> list[tuple[int, ...]]:
    return [rule.ports for rule in rules(found) if rule.http is None]


@pytest.mark.parametrize("version", [V1ALPHA1, V1ALPHA2, V1ALPHA3], ids=["1", "2", "3"])
@pytest.mark.parametrize("group", GROUPS, ids=["g1", "g3", "g2", "g4"])
def test_every_version_of_a_traffic_target_means_the_same(version: str, group: str) -> None:
    field = "spec.rules[0]"
    assert rules(model(version, group)) == (
        AccessRule(
            destination=identity("shop"),
            sources=(identity("buyer"),),
            origin=Origin("TrafficTarget", "default", "t", field, ACCESS),
            http=HttpMatch(PathMatch("regex", "/buy"), ("GET",)),
            match_origin=Origin(
                "HTTPRouteGroup", "default", "routes", "spec.matches[0] (buy)", SPECS
            ),
        ),
    )


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        pytest.param("HTTPRouteGroup/routes/buy", ["/buy"], id="one match"),
        pytest.param("HTTPRouteGroup/routes/buy/sell", ["/buy", "/sell"], id="two matches"),
        pytest.param("HTTPRouteGroup/routes", ["/buy", "/sell"], id="none named: all (SMI)"),
    ],
)
def test_a_rule_allows_the_matches_that_it_names(rule: str, allowed: list[str]) -> None:
    shop = (pod("shop"), service("shop", 80), pod("buyer", ip="10.0.0.2"))
    found = model(*shop, http_group("routes", BUY, SELL), target("t", "shop", ["buyer"], rule))
    assert paths(found) == allowed
    assert found.findings == ()


@pytest.mark.parametrize(
    ("match", "meaning"),
    [
        pytest.param({"name": "m"}, HttpMatch(), id="nothing: everything"),
        pytest.param({"name": "m", "pathRegex": ".*"}, HttpMatch(), id="any path"),
        pytest.param({"name": "m", "methods": ["*"]}, HttpMatch(), id="any method"),
        pytest.param({"name": "m", "methods": ["GET", "*"]}, HttpMatch(), id="any among methods"),
        pytest.param(
            {"name": "m", "methods": ["POST", "GET", "POST"]},
            HttpMatch(methods=("GET", "POST")),
            id="a method twice",
        ),
        pytest.param(
            {"name": "m", "pathRegex": "/a/.*"},
            HttpMatch(PathMatch("regex", "/a/.*")),
            id="only a path",
        ),
        pytest.param(
            {"name": "m", "headers": [{"User-Agent": "c.*"}, {"host": "shop"}]},
            HttpMatch(
                headers=(
                    ValueMatch(":authority", "regex", "shop"),
                    ValueMatch("user-agent", "regex", "c.*"),
                )
            ),
            id="headers, and host is the authority",
        ),
        pytest.param(
            {"name": "m", "headers": {"a": "1", "b": "2"}},
            HttpMatch(headers=(ValueMatch("a", "regex", "1"), ValueMatch("b", "regex", "2"))),
            id="headers as a map",
        ),
    ],
)
def test_a_match_means_path_methods_and_headers(
    match: dict[str, object], meaning: HttpMatch
) -> None:
    found = model(http_group("g", match), target("t", "shop", ["buyer"], "HTTPRouteGroup/g"))
    (rule,) = rules(found)
    assert rule.http == meaning


def test_matches_with_and_without_a_path_stand_side_by_side() -> None:
    found = model(
        http_group("g", {"name": "any"}, BUY, {"name": "get", "methods": ["GET"]}),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
    )
    assert paths(found) == ["*", "/buy", "*"]


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        pytest.param(
            [target("t", "shop", ["buyer"], "HTTPRouteGroup/gone")],
            "OSM301",
            "HTTPRouteGroup default/gone does not exist",
            id="unknown group",
        ),
        pytest.param(
            [target("t", "shop", ["buyer"], "TCPRoute/gone")],
            "OSM301",
            "TCPRoute default/gone does not exist",
            id="unknown TCPRoute",
        ),
        pytest.param(
            [http_group("g", BUY), target("t", "shop", ["buyer"], "HTTPRouteGroup/g/rob")],
            "OSM302",
            "no match named 'rob'",
            id="unknown match",
        ),
        pytest.param(
            [
                http_group("g", namespace="other"),
                target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
            ],
            "OSM301",
            "HTTPRouteGroup default/g does not exist",
            id="a group of another namespace",
        ),
    ],
)
def test_what_refers_to_something_missing_grants_nothing_and_is_told(
    objects: list[Part], code: str, words: str
) -> None:
    found = model(*objects)
    assert rules(found) == ()
    (finding,) = (each for each in found.findings if each.severity is not Severity.INFO)
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert words in finding.message
    assert finding.origin == Origin("TrafficTarget", "default", "t", "spec.rules[0]", ACCESS)


def test_a_wrong_rule_disturbs_no_other() -> None:
    found = model(
        http_group("g", BUY),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/gone", "HTTPRouteGroup/g/buy/rob"),
        target("u", "shop", ["other"], "HTTPRouteGroup/g"),
    )
    assert paths(found) == ["/buy", "/buy"]
    wrong = [each.code for each in found.findings if each.severity is Severity.ERROR]
    assert wrong == ["OSM301", "OSM302"]


def test_findings_say_file_and_line() -> None:
    (finding,) = model(V1ALPHA3).findings
    assert finding.where == "in.yaml:2"


def test_several_targets_of_one_destination_are_united() -> None:
    found = model(
        http_group("g", BUY),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
        target("u", "shop", ["thief", "buyer"], "HTTPRouteGroup/g"),
    )
    assert [rule.sources for rule in rules(found)] == [
        (identity("buyer"),),
        (identity("buyer"), identity("thief")),
    ]


def test_a_source_without_namespace_is_of_the_targets_own() -> None:
    text = V1ALPHA3.replace("name: buyer, namespace: default", "name: buyer")
    (rule,) = rules(model(text, GROUPS[1]))
    assert rule.sources == (identity("default/buyer"),)


def test_a_target_without_sources_or_rules_grants_nothing() -> None:
    found = model(
        http_group("g"),
        target("t", "shop", [], "HTTPRouteGroup/g"),
        target("u", "shop", ["buyer"]),
    )
    assert found.access == {}


@pytest.mark.parametrize(
    ("rules_of_target", "http", "connections"),
    [
        pytest.param(["TCPRoute/any"], [], [()], id="any port"),
        pytest.param(["TCPRoute/two"], [], [(1, 2)], id="some ports"),
        pytest.param(["HTTPRouteGroup/g"], ["/buy"], [], id="HTTP alone opens no TCP"),
        pytest.param(
            ["HTTPRouteGroup/g", "TCPRoute/two"], ["/buy [1, 2]"], [(1, 2)], id="limited ports"
        ),
        pytest.param(
            ["HTTPRouteGroup/g", "TCPRoute/two", "TCPRoute/three"],
            ["/buy [1, 2, 3]"],
            [(1, 2), (3,)],
            id="ports of all TCPRoutes",
        ),
        pytest.param(
            ["HTTPRouteGroup/g", "TCPRoute/any", "TCPRoute/two"],
            ["/buy"],
            [(), (1, 2)],
            id="one without ports: no limit",
        ),
        pytest.param(
            ["HTTPRouteGroup/g", "TCPRoute/gone"], [], [], id="a limit that is missing closes"
        ),
        pytest.param(
            ["HTTPRouteGroup/g", "TCPRoute/gone", "TCPRoute/three"],
            ["/buy [3]"],
            [(3,)],
            id="a limit that is missing does not widen the other",
        ),
    ],
)
def test_tcp_routes_open_ports_and_limit_those_of_http(
    rules_of_target: list[str], http: list[str], connections: list[tuple[int, ...]]
) -> None:
    found = model(
        http_group("g", BUY),
        tcp_route("any"),
        tcp_route("two", 2, 1, 2),
        tcp_route("three", 3),
        target("t", "shop", ["buyer"], *rules_of_target),
    )
    assert paths(found) == http
    assert tcp(found) == connections


@pytest.mark.parametrize(
    ("route", "http", "connections"),
    [
        pytest.param(None, ["/buy [80]"], [], id="HTTP alone"),
        pytest.param(tcp_route("r"), ["/buy [80]"], [(80,)], id="any port"),
        pytest.param(tcp_route("r", 80, 81), ["/buy [80]"], [(80,)], id="among others"),
        pytest.param(tcp_route("r", 81), [], [], id="no port in common"),
    ],
)
def test_the_port_of_a_v1alpha1_destination_limits_every_rule(
    route: Part | None, http: list[str], connections: list[tuple[int, ...]]
) -> None:
    text = V1ALPHA1.replace("name: shop,", "name: shop, port: 80,")
    if route is not None:
        text = text.replace("matches: [buy]}", "matches: [buy]}, {kind: TCPRoute, name: r}")
    found = model(text, GROUPS[0], *([route] if route else []))
    assert paths(found) == http
    assert tcp(found) == connections


def test_a_rule_is_called_by_where_it_is_written() -> None:
    (rule,) = rules(model(V1ALPHA3, GROUPS[1]))
    assert rule.name == "TrafficTarget/default/t/spec.rules[0]"
    assert str(rule.origin) == "TrafficTarget default/t spec.rules[0]"
