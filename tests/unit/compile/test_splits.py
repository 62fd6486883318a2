"""TrafficSplits become routes of the service ports that they name as their root."""

import pytest

from osm.core.model.mesh import Model
from osm.core.model.origin import Severity
from osm.core.model.route import HttpMatch, PathMatch
from osm.testing.builders import Document, http_group, model, pod, port_name, service, split

SERVICES = (
    pod("v1"),
    pod("v2", ip="10.0.0.2"),
    service("root", 80, app="v1"),
    service("v1", 80, ip="10.1.0.2"),
    service("v2", 80, ip="10.1.0.3"),
)


def backends(found: Model, root: str = "root:80") -> list[tuple[str, int]]:
    """Where the first rule sends traffic."""
    rule = found.routes[port_name(root)].rules[0]
    return [(backend.port.service.name, backend.weight) for backend in rule.backends]


def codes(found: Model) -> list[str]:
    return [finding.code for finding in found.findings]


def test_without_a_split_a_service_port_goes_to_itself() -> None:
    found = model(*SERVICES)
    assert backends(found) == [("root", 1)]
    assert found.routes[port_name("root:80")].rules[0].origin.kind == "Service"
    assert set(found.routes) == set(found.services)


@pytest.mark.parametrize(
    "root",
    [
        "root",
        "root.default",
        "root.default.svc",
        "root.default.svc.cluster",
        "root.default.svc.cluster.local",
    ],
)
def test_a_root_may_be_written_in_five_ways(root: str) -> None:
    found = model(*SERVICES, split("s", root, {"v1": 90, "v2": 10}))
    assert backends(found) == [("v1", 90), ("v2", 10)]
    assert found.findings == ()
    rule = found.routes[port_name("root:80")].rules[0]
    assert str(rule.origin) == "TrafficSplit default/s spec.backends"


@pytest.mark.parametrize(
    "root", ["other", "root.elsewhere", "root.default.svc.example.org", "root.default.x"]
)
def test_a_root_that_does_not_exist_in_the_namespace_is_told(root: str) -> None:
    found = model(*SERVICES, split("s", root, {"v1": 1}))
    assert backends(found) == [("root", 1)]
    (finding,) = found.findings
    assert (finding.code, finding.severity) == ("OSM311", Severity.ERROR)
    assert finding.origin is not None and finding.origin.field == "spec.service"


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
def test_every_version_of_a_split_means_the_same(version: str) -> None:
    text = f"""
apiVersion: split.smi-spec.io/{version}
kind: TrafficSplit
metadata: {{name: s, namespace: default}}
spec:
  service: root
  backends: [{{service: v1, weight: 75}}, {{service: v2, weight: 25}}]
"""
    assert backends(model(*SERVICES, text)) == [("v1", 75), ("v2", 25)]


@pytest.mark.parametrize(
    ("weights", "meaning"),
    [
        pytest.param({"v1": "900m", "v2": "100m"}, [9, 1], id="quantities"),
        pytest.param({"v1": 100, "v2": 0}, [100, 0], id="all to one"),
        pytest.param({"v1": 0, "v2": 0}, [0, 0], id="nothing to anyone"),
        pytest.param({"v1": "1", "v2": "500m"}, [2, 1], id="mixed"),
    ],
)
def test_weights_keep_their_proportion(weights: dict[str, object], meaning: list[int]) -> None:
    found = [weight for _, weight in backends(model(*SERVICES, split("s", "root", weights)))]
    total, wanted = sum(found) or 1, sum(meaning) or 1
    assert [weight * wanted for weight in found] == [weight * total for weight in meaning]


def test_a_backend_that_does_not_exist_gets_nothing_and_is_told() -> None:
    found = model(*SERVICES, split("s", "root", {"v1": 50, "v9": 50}))
    assert backends(found) == [("v1", 50)]
    (finding,) = found.findings
    assert finding.code == "OSM313" and "'v9'" in finding.message
    assert finding.origin is not None and finding.origin.field == "spec.backends[1]"


def test_backends_without_any_that_exists_leave_none() -> None:
    found = model(*SERVICES, split("s", "root", {"v8": 50, "v9": 50}))
    assert backends(found) == []
    assert codes(found) == ["OSM313", "OSM313"]


def test_a_backend_must_have_the_roots_port() -> None:
    two_ports = service("root", 80, 81, app="v1")
    found = model(*SERVICES[:2], two_ports, *SERVICES[3:], split("s", "root", {"v1": 1}))
    assert backends(found, "root:80") == [("v1", 1)]
    assert backends(found, "root:81") == []
    (finding,) = found.findings
    assert "with port 81" in finding.message


def test_a_backend_may_be_the_root_itself() -> None:
    found = model(*SERVICES, split("s", "root", {"root": 90, "v2": 10}))
    assert backends(found) == [("root", 90), ("v2", 10)]


def test_a_leaf_that_is_the_root_of_another_split_is_not_expanded() -> None:
    found = model(*SERVICES, split("s", "root", {"v1": 1}), split("t", "v1", {"v2": 1}))
    assert backends(found, "root:80") == [("v1", 1)]
    assert backends(found, "v1:80") == [("v2", 1)]


def test_weights_of_a_backend_that_stands_twice_are_added() -> None:
    text = """
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: s, namespace: default}
spec:
  service: root
  backends: [{service: v1, weight: 1}, {service: v1.default, weight: 2}, {service: v2, weight: 1}]
"""
    assert backends(model(*SERVICES, text)) == [("v1", 3), ("v2", 1)]


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "v1", id="the older"),
        pytest.param("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z", "v2", id="the older, again"),
        pytest.param("", "", "v1", id="by name without times"),
    ],
)
def test_of_two_splits_of_a_root_the_oldest_wins_and_the_other_is_told(
    first: str, second: str, winner: str
) -> None:
    found = model(
        *SERVICES,
        split("a", "root", {"v1": 1}, created=first),
        split("b", "root.default", {"v2": 1}, created=second),
    )
    assert backends(found) == [(winner, 1)]
    (finding,) = found.findings
    loser = "b" if winner == "v1" else "a"
    assert finding.code == "OSM312" and finding.origin is not None
    assert finding.origin.name == loser
    assert f"TrafficSplit default/{'a' if loser == 'b' else 'b'}" in finding.message


@pytest.mark.parametrize(
    ("matches", "rules"),
    [
        pytest.param(["beta"], [(("v1", "v2"), 1), (("root",), 0)], id="others go to the root"),
        pytest.param(["beta", "wide"], [(("v1", "v2"), 3), (("root",), 0)], id="any of several"),
        pytest.param(["gone"], [(("root",), 0)], id="none known: nothing is split"),
        pytest.param(["gone", "beta"], [(("v1", "v2"), 1), (("root",), 0)], id="one is known"),
    ],
)
def test_a_split_with_matches_holds_for_requests_that_fit(
    matches: list[str], rules: list[tuple[tuple[str, ...], int]]
) -> None:
    wide: list[Document] = [{"name": "a", "methods": ["PUT"]}, {"name": "b"}]
    found = model(
        *SERVICES,
        http_group("beta", {"name": "m", "pathRegex": "/beta"}),
        http_group("wide", *wide),
        split("s", "root", {"v1": 1, "v2": 1}, matches=matches),
    )
    made = found.routes[port_name("root:80")].rules
    assert [
        (tuple(b.port.service.name for b in rule.backends), len(rule.matches)) for rule in made
    ] == rules
    told = [code for code in codes(found) if code != "OSM309"]  # groups that nobody names
    assert told == (["OSM301"] if "gone" in matches else [])
    if matches == ["beta"]:
        assert made[0].matches == (HttpMatch(PathMatch("regex", "/beta")),)


def test_a_split_divides_tcp_as_well() -> None:
    found = model(
        pod("v1"),
        pod("v2", ip="10.0.0.2"),
        *(service(name, {"port": 5432, "name": "tcp-db"}, app="v1") for name in ("root", "v1")),
        service("v2", {"port": 5432, "name": "tcp-db"}),
        split("s", "root", {"v1": 1, "v2": 3}),
    )
    assert backends(found, "root:5432") == [("v1", 1), ("v2", 3)]
