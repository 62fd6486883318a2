"""The JSON API, as the `osm` command and the page use it."""

from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from osm import __version__
from osm.core.explain.explanation import Explanation
from osm.core.explain.view import MeshView
from osm.dashboard.access import LoopbackAccess
from osm.dashboard.app import build_app
from osm.testing.mesh_api import FakeMeshApi

TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: thief, namespace: bookstore}
spec: {}
"""
KEY = {
    "group": "access.smi-spec.io",
    "kind": "TrafficTarget",
    "namespace": "bookstore",
    "name": "bookstore",
}


def test_the_view_is_the_mesh_view_as_json(socket: TestClient, mesh: FakeMeshApi) -> None:
    answer = socket.get("/api/v1/view")
    assert msgspec.json.decode(answer.content, type=MeshView) == mesh.view()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?kind=TrafficSplit", ["bookstore-split"]),
        ("?kind=trafficsplit", ["bookstore-split"]),
        ("?kind=Service&namespace=bookwarehouse", ["bookwarehouse", "mysql"]),
        ("?kind=TrafficTarget&name=auditors", ["auditors"]),
        ("?namespace=nowhere", []),
    ],
)
def test_objects_are_found_by_kind_namespace_and_name(
    socket: TestClient, query: str, names: list[str]
) -> None:
    items = socket.get(f"/api/v1/objects{query}").json()["items"]
    assert [item["key"]["name"] for item in items] == names
    assert all(item["raw"]["kind"] == item["key"]["kind"] for item in items)


def test_applying_creates_then_leaves_unchanged(socket: TestClient) -> None:
    for action in ("created", "unchanged"):
        answer = socket.post("/api/v1/apply", content=TARGET)
        assert answer.json() == {
            "results": [
                {"key": KEY | {"name": "thief"}, "action": action, "where": "stdin:1"},
            ]
        }


def test_a_dry_run_changes_nothing(socket: TestClient) -> None:
    for _ in range(2):
        answer = socket.post("/api/v1/apply?dryRun=true", content=TARGET)
        assert answer.json()["results"][0]["action"] == "created"


@pytest.mark.parametrize("text", ["kind: [", "just: text", "- a\n- b"])
def test_objects_that_are_wrong_come_back_with_findings(socket: TestClient, text: str) -> None:
    answer = socket.post("/api/v1/apply", content=text)
    assert answer.status_code == 422
    assert "nothing was changed" in answer.json()["message"]
    [finding] = answer.json()["findings"]
    assert finding["where"].startswith("stdin:")
    assert finding["severity"] == "error"


def test_text_that_is_not_utf8_is_an_error_for_people(socket: TestClient) -> None:
    answer = socket.post("/api/v1/apply", content=b"\xff\xfe")
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["message"]


def test_deleting_names_what_went(socket: TestClient, mesh: FakeMeshApi) -> None:
    answer = socket.post("/api/v1/delete", json={"keys": [KEY]})
    assert answer.json()["results"][0]["action"] == "deleted"
    assert KEY["name"] not in [
        manifest.key.name for manifest in mesh.objects() if manifest.key.kind == KEY["kind"]
    ]


def test_deleting_what_is_not_there_is_an_error_with_a_hint(socket: TestClient) -> None:
    answer = socket.post("/api/v1/delete", json={"keys": [KEY | {"name": "nothing"}]})
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "TrafficTarget bookstore/nothing does not exist.",
        "hint": "See `osm get`.",
        "exit_code": 2,
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"keys": [{}]}', b'{"keys": 1}', b"[" * 5000])
def test_a_body_that_cannot_be_read_is_said_to_be_so(socket: TestClient, body: bytes) -> None:
    answer = socket.post("/api/v1/delete", content=body)
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["message"]


def test_explaining_answers_with_steps_and_origins(socket: TestClient) -> None:
    question = {"source": "bookthief", "destination": "bookstore.bookstore:14001", "method": "GET"}
    answer = socket.post("/api/v1/explain", json=question)
    explanation = msgspec.json.decode(answer.content, type=Explanation)
    assert not explanation.allowed
    assert "kind: TrafficTarget" in explanation.remedy
    assert explanation.steps[1].origins[0].kind == "TrafficSplit"


def test_a_refusal_is_explained(socket: TestClient) -> None:
    refusal = {"source": "bookthief/bookthief", "destination": "bookstore/bookstore", "port": 14001,
               "method": "GET", "path": "/buy-a-book/new"}  # fmt: skip
    answer = socket.post("/api/v1/explain/refusal", json=refusal)
    explanation = msgspec.json.decode(answer.content, type=Explanation)
    assert explanation.steps[0].title == "then"
    assert explanation.question.destination == "bookstore.bookstore:14001"
    assert socket.post("/api/v1/explain/refusal", json={"source": "a"}).status_code == 400


def test_asking_about_nobody_is_an_error_for_people(socket: TestClient) -> None:
    answer = socket.post("/api/v1/explain", json={"source": "nobody", "destination": "x"})
    assert answer.status_code == 400
    assert "nobody" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("config_dump", "application/json"),
        ("config_dump?include_eds", "application/json"),
        ("clusters", "text/plain"),
        ("clusters?format=json", "application/json"),
        ("stats/prometheus", "text/plain"),
        ("stats?filter=^cluster%5C.", "text/plain"),
        ("certs", "application/json"),
    ],
)
def test_a_proxys_admin_interface_can_be_read(
    socket: TestClient, path: str, media_type: str
) -> None:
    answer = socket.get(f"/api/v1/proxies/bookstore/bookstore-v2/envoy/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)


def test_what_a_proxy_should_run_can_be_read(socket: TestClient, mesh: FakeMeshApi) -> None:
    answer = socket.get("/api/v1/proxies/bookstore/bookstore-v2/expected")
    items = msgspec.json.decode(answer.content)["items"]
    wanted = mesh.proxy_expected("bookstore/bookstore-v2")
    assert [(item["type"], item["name"]) for item in items] == [(w.type, w.name) for w in wanted]
    assert items[0]["config"] == wanted[0].config


@pytest.mark.parametrize("name", ["bookstore/nobody", "..%2f/bookstore", "Book store/bookstore"])
def test_what_nobodys_proxy_should_run_is_not_told(socket: TestClient, name: str) -> None:
    assert socket.get(f"/api/v1/proxies/{name}/expected").status_code in (400, 404)


@pytest.mark.parametrize(
    "path",
    [
        "bookstore/bookstore/envoy/quitquitquit",
        "bookstore/bookstore/envoy/logging",
        "bookstore/bookstore/envoy/runtime_modify",
        "bookstore/bookstore/envoy/drain_listeners",
        "bookstore/bookstore/envoy/config_dump/../quitquitquit",
        "bookstore/bookstore/envoy/config_dump%2f..%2fquitquitquit",
        "bookstore/bookstore/envoy//config_dump",
        "bookstore/bookstore/envoy/stats?filter=%0d%0aHost:x",
        "bookstore/bookstore/envoy/stats?filter=" + "a" * 600,
        "..%2f..%2f/bookstore/envoy/stats",
        "Book store/bookstore/envoy/stats",
    ],
)
def test_only_the_reading_paths_of_a_proxy_are_served(socket: TestClient, path: str) -> None:
    assert socket.get(f"/api/v1/proxies/{path}").status_code in (404, 400)


def test_a_proxy_is_only_ever_read(socket: TestClient) -> None:
    answer = socket.post("/api/v1/proxies/bookstore/bookstore/envoy/stats")
    assert answer.status_code == 405


def test_logs_are_one_json_object_a_line(socket: TestClient) -> None:
    answer = socket.get("/api/v1/logs?workload=bookbuyer&tail=3")
    assert answer.headers["content-type"] == "application/x-ndjson"
    texts = [msgspec.json.decode(line)["text"] for line in answer.content.splitlines()]
    assert texts == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize(
    ("query", "words"),
    [("workload=nobody", "nobody"), ("workload=bookbuyer&tail=x", "number"), ("tail=-1", "number")],
)
def test_logs_that_cannot_be_given_are_an_error_for_people(
    socket: TestClient, query: str, words: str
) -> None:
    answer = socket.get(f"/api/v1/logs?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_shutdown_answers_before_the_mesh_ends(socket: TestClient, mesh: FakeMeshApi) -> None:
    assert socket.post("/api/v1/shutdown").status_code == 202
    assert mesh.calls == ["shutdown"]


def test_the_version_is_ours(socket: TestClient) -> None:
    assert socket.get("/api/v1/version").json() == {"version": __version__}


def test_the_socket_serves_no_page(socket: TestClient) -> None:
    assert socket.get("/").status_code == 404


def test_the_page_learns_its_token_from_the_session(page: TestClient, own: dict[str, str]) -> None:
    answer = page.get("/api/v1/session", headers={"sec-fetch-site": "same-origin"})
    assert answer.json() == {"token": own["x-osm-token"], "version": __version__}
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_that_was_not_built_says_how_to_build_it(mesh: FakeMeshApi, tmp_path: Path) -> None:
    app = build_app(mesh, access=LoopbackAccess(1), static=tmp_path)
    with TestClient(app, base_url="http://127.0.0.1:1") as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "make web" in answer.json()["hint"]
