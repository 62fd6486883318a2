"""What a person sees of a mesh: workloads, edges with refusals and splits, proxies, objects."""

from collections.abc import Mapping, Sequence

import pytest

from osm.core.api.kubernetes import Pod
from osm.core.envoy import access
from osm.core.explain.view import DenialView, EdgeView
from osm.core.model.mesh import Model
from osm.core.model.origin import Finding, Origin, Severity
from osm.runtime.view import (
    denial_views,
    edge_views,
    object_views,
    workload_views,
)
from osm.telemetry.access_log import DenialRate
from osm.telemetry.traffic import UNKNOWN, Edge, EdgeTraffic
from osm.testing.builders import (
    Document,
    Part,
    identity,
    manifests,
    model,
    pod,
    service,
    split,
)

OWNED = ("ReplicaSet", "buyer-5f")
MESH: tuple[Part, ...] = (
    pod("buyer-5f-1", app="buyer", owner=OWNED),
    pod("v1-1", app="v1", account="store", owner=("ReplicaSet", "v1-1f"), ip="10.0.0.2"),
    pod("v2-1", app="v2", account="store2", owner=("ReplicaSet", "v2-1f"), ip="10.0.0.3"),
    service("store", 80, app="v1"),
    service("v1", 80, ip="10.1.0.2"),
    service("v2", 80, ip="10.1.0.3"),
    split("s", "store", {"v1": 3, "v2": 1}),
)


def traffic(
    destination: str,
    *,
    codes: Mapping[int, float] | None = None,
    protocol: str = "http",
    rate: float | None = None,
) -> EdgeTraffic:
    found = codes or {200: 10.0}
    return EdgeTraffic(
        Edge("default", "buyer", "default", destination, protocol),
        sum(found.values()) if rate is None else rate,
        tuple(found.items()),
        1.0,
        2.0,
        100,
        tuple((code, int(value) * 10) for code, value in found.items()),
    )


def denial(**fields: object) -> DenialView:
    values = {
        "time": "2026-01-01T00:00:00Z",
        "source": "default/buyer",
        "destination": "default/v1-1",
        "port": 80,
        "method": "GET",
        "path": "/buy",
        "reason": access.NO_RULE_FOR_SOURCE,
    } | fields
    return DenialView(**values)  # type: ignore[arg-type]


def edges(
    found: Model,
    *seen: EdgeTraffic,
    denials: Sequence[DenialView] = (),
    rates: Mapping[tuple[str, str], DenialRate] | None = None,
) -> dict[str, EdgeView]:
    made = edge_views(found, seen, denials, rates or {})
    return {edge.destination: edge for edge in made}


def test_an_edge_has_rate_success_and_latency() -> None:
    edge = edges(model(*MESH), traffic("v1", codes={200: 9.0, 503: 1.0}))["v1"]
    assert (edge.source, edge.requests_per_second, edge.total) == ("buyer", 10.0, 100)
    assert edge.success_percent == pytest.approx(90.0)
    assert (edge.p50_ms, edge.p99_ms, edge.mutual_tls) == (1.0, 2.0, True)
    assert (edge.denied_per_second, edge.deny_reason, edge.remedy) == (0.0, "", "")


def test_edges_of_a_split_have_their_share() -> None:
    found = edges(model(*MESH), traffic("v1"), traffic("v2"))
    assert (found["v1"].split_percent, found["v1"].split_service) == (75.0, "default/store")
    assert (found["v2"].split_percent, found["v2"].split_service) == (25.0, "default/store")


def test_backends_of_a_split_share_a_service_with_others() -> None:
    both = pod("v1-2", app="v1", account="store", owner=("ReplicaSet", "v1-2f"), ip="10.0.0.4")
    found = edges(model(*MESH, both), traffic("v1"), traffic("v2"))
    assert (found["v1"].split_percent, found["v2"].split_percent) == (75.0, 25.0)


def test_without_a_split_an_edge_has_no_share() -> None:
    edge = edges(model(*MESH[:-1]), traffic("v1"))["v1"]
    assert (edge.split_percent, edge.split_service) == (None, "")


def test_a_split_into_nothing_gives_no_share() -> None:
    edge = edges(model(*MESH[:-1], split("s", "store", {"v1": 0})), traffic("v1"))["v1"]
    assert edge.split_percent is None


def test_tcp_has_no_share_of_a_split_of_http() -> None:
    edge = edges(model(*MESH), traffic("v1", protocol="tcp"))["v1"]
    assert edge.split_percent is None and edge.protocol == "tcp"


def test_refused_requests_are_shown_apart_with_reason_and_remedy() -> None:
    rates = {("default/buyer", "default/v1-1"): DenialRate(2.0, 20, "x")}
    edge = edges(
        model(*MESH), traffic("v1", codes={200: 8.0, 403: 2.0}), denials=[denial()], rates=rates
    )["v1"]
    assert (edge.requests_per_second, edge.denied_per_second, edge.denied_total) == (8.0, 2.0, 20)
    assert edge.deny_reason == "no access rule for default/store names default/buyer as a source"
    assert "kind: TrafficTarget" in edge.remedy and manifests(edge.remedy)


def test_refused_connections_are_shown_with_their_remedy() -> None:
    parts = (*MESH, service("db", {"port": 5432, "name": "tcp-db"}, app="v1", ip="10.1.0.9"))
    rates = {("default/buyer", "default/v1-1"): DenialRate(1.0, 3, "x")}
    refused = denial(method="", path="", port=5432)
    edge = edges(model(*parts), traffic("v1", protocol="tcp"), denials=[refused], rates=rates)["v1"]
    assert edge.denied_per_second == 1.0
    assert [m.key.kind for m in manifests(edge.remedy)] == ["TCPRoute", "TrafficTarget"]


def test_past_refusals_count_in_total_and_have_no_reason_any_more() -> None:
    rates = {("default/buyer", "default/v1-1"): DenialRate(0.0, 20, "x")}
    edge = edges(model(*MESH), traffic("v1"), denials=[denial()], rates=rates)["v1"]
    assert (edge.denied_per_second, edge.denied_total) == (0.0, 20)
    assert (edge.deny_reason, edge.remedy) == ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"source": "spiffe://elsewhere/x"}, id="an unknown source"),
        pytest.param({"destination": "default/gone"}, id="a destination that is gone"),
        pytest.param({"source": ""}, id="no source"),
    ],
)
def test_refusals_of_or_by_strangers_are_on_no_edge(fields: dict[str, object]) -> None:
    refused = denial(**fields)
    rates = {(refused.source, refused.destination): DenialRate(2.0, 20, "x")}
    edge = edges(model(*MESH), traffic("v1"), denials=[refused], rates=rates)["v1"]
    assert edge.denied_total == 0


def test_a_refusal_at_a_port_without_service_has_no_remedy() -> None:
    rates = {("default/buyer", "default/v1-1"): DenialRate(2.0, 2, "x")}
    edge = edges(
        model(*MESH), traffic("v1", codes={403: 2.0}), denials=[denial(port=9)], rates=rates
    )["v1"]
    assert edge.denied_per_second == 2.0 and edge.remedy == ""


@pytest.mark.parametrize(("rate", "shown"), [(1.0, True), (0.0, False)])
def test_what_nobody_answered_is_shown_while_it_happens(rate: float, *, shown: bool) -> None:
    assert (UNKNOWN in edges(model(*MESH), traffic(UNKNOWN, rate=rate))) == shown


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (access.NO_RULE_FOR_SOURCE, "no access rule for default/store names default/buyer"),
        (access.NO_RULE_FOR_REQUEST, "default/buyer may call default/store, but no match fits GET"),
        ("something else", "something else"),
    ],
)
def test_a_reason_is_a_sentence(reason: str, words: str) -> None:
    (view,) = denial_views(model(*MESH), [denial(reason=reason)])
    assert view.reason.startswith(words)


def test_a_reason_names_the_workload_that_is_gone() -> None:
    (view,) = denial_views(model(*MESH), [denial(destination="default/gone")])
    assert view.reason == "no access rule for default/gone names default/buyer as a source"


def ready(status: str = "True", **more: str) -> Document:
    return {"type": "Ready", "status": status, **more}


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        pytest.param({"phase": "Running", "conditions": [ready()]}, "ready", id="ready"),
        pytest.param({"phase": "Failed", "conditions": [ready()]}, "ready", id="ready above all"),
        pytest.param({"phase": "Failed", "conditions": []}, "failed", id="failed"),
        pytest.param(
            {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2}]},
            "restarting",
            id="restarting",
        ),
        pytest.param({"phase": "Running", "conditions": [ready("False")]}, "unready", id="unready"),
        pytest.param({"phase": "Pending"}, "starting", id="starting"),
        pytest.param({}, "starting", id="nothing known"),
    ],
)
def test_a_workload_has_a_phase(status: Document, phase: str) -> None:
    document = {**pod("shop"), "status": {"podIP": "10.0.0.1", **status}}
    (view,) = workload_views(model(document), pods(document), {})
    assert view.phase == phase


def pods(*parts: Part) -> list[Pod]:
    return [m.object for m in manifests(*parts) if isinstance(m.object, Pod)]


def test_a_workload_is_shown_with_all_that_is_known_of_it() -> None:
    status = {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "conditions": [ready("False", reason="ContainersNotReady", message="main: no answer")],
        "containerStatuses": [
            {"name": "main", "restartCount": 1},
            {"name": "e", "restartCount": 2},
        ],
    }
    document = {
        **pod("db-0", app="db", subdomain="db", owner=("StatefulSet", "db")),
        "status": status,
    }
    parts = (document, service("db", 80, 81, ip="None"), service("all", 80, app="db"))
    pages = {("default", "db-0"): "http://127.0.0.1:8080/"}
    (view,) = workload_views(model(*parts), pods(*parts), pages)
    assert (view.app, view.restarts, view.reason) == ("db", 3, "main: no answer")
    assert view.identity == identity("db").spiffe_id
    assert view.services == ("default/all", "default/db")
    assert view.web == "http://127.0.0.1:8080/"


def test_a_pod_that_has_no_address_yet_is_shown_as_well() -> None:
    found = [pod("b", ip=""), pod("a", ip="10.0.0.1")]
    views = workload_views(model(*found), pods(*found), {})
    assert [(view.name, view.app) for view in views] == [("a", "a"), ("b", "b")]


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ((), "ok"),
        ((Severity.INFO,), "ok"),
        ((Severity.WARNING, Severity.INFO), "warning"),
        ((Severity.WARNING, Severity.ERROR), "error"),
    ],
)
def test_an_object_is_shown_with_its_findings(
    severities: tuple[Severity, ...], status: str
) -> None:
    text = """
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: s, namespace: default}
spec: {service: a, backends: [{service: b, weight: 1}]}
"""
    origin = Origin("TrafficSplit", "default", "s", "spec.service", "split.smi-spec.io")
    other = Finding("OSM1", Severity.ERROR, Origin("Pod", "default", "s"), "other")
    homeless = Finding("OSM1", Severity.ERROR, None, "nobody's")
    findings = [Finding("OSM1", severity, origin, "text") for severity in severities]
    (view,) = object_views(manifests(text), [*findings, other, homeless])
    assert (view.kind, view.version, view.where) == ("TrafficSplit", "v1alpha2", "in.yaml:2")
    assert view.status == status and len(view.findings) == len(severities)


def test_objects_are_in_order() -> None:
    views = object_views(manifests(service("b", 80), pod("c"), service("a", 80)), [])
    assert [(view.kind, view.name) for view in views] == [
        ("Pod", "c"),
        ("Service", "a"),
        ("Service", "b"),
    ]
