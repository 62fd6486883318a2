"""What a web site, another user's browser tab or a curious program can do to the page: nothing."""

import msgspec
import pytest
from starlette.testclient import TestClient

from osm.core.explain.view import MeshView
from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.feed import Feed
from osm.testing.mesh_api import FakeMeshApi

PORT = 15080
QUESTION = {"source": "bookthief", "destination": "bookstore.bookstore:14001", "method": "GET"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:15080", "localhost:15080", "[::1]:15080", "LOCALHOST:15080"]
)
def test_own_names_are_served(page: TestClient, host: str) -> None:
    assert page.get("/api/v1/view", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:15080",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost",
        "localhost.attacker.example:15080",
        "127.0.0.1:15080.attacker.example",
        "127.0.0.1:15080, attacker.example",
        "0.0.0.0:15080",
        "[::ffff:127.0.0.1]:15080",
        "user@127.0.0.1:15080",
        "",
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/api/v1/view", "/api/v1/session", "/api/v1/events", "/assets/page.js"]
)
def test_a_foreign_host_is_dns_rebinding_and_sees_nothing(
    page: TestClient, access: LoopbackAccess, host: str, path: str
) -> None:
    answer = page.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert access.token not in answer.text
    assert "bookbuyer" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:15081"},
        {"origin": "https://127.0.0.1:15080"},
        {"origin": "http://localhost:15080"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/view", "/api/v1/session"])
def test_other_sites_cannot_read(
    page: TestClient, access: LoopbackAccess, headers: dict[str, str], path: str
) -> None:
    answer = page.get(path, headers=headers)
    assert answer.status_code == 403
    assert access.token not in answer.text


def test_a_link_on_another_page_may_lead_here(page: TestClient) -> None:
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    assert page.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"x-osm-token": ""},
        {"x-osm-token": "wrong"},
        {"origin": "http://attacker.example"},
        {"origin": None},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_forged_post_is_refused(
    page: TestClient, own: dict[str, str], change: dict[str, str | None]
) -> None:
    headers = {name: value for name, value in (own | change).items() if value is not None}
    assert page.post("/api/v1/explain", json=QUESTION, headers=headers).status_code == 403


def test_the_page_may_ask(page: TestClient, own: dict[str, str]) -> None:
    answer = page.post("/api/v1/explain", json=QUESTION, headers=own)
    assert answer.status_code == 200
    assert answer.json()["verdict"] == "denied"


@pytest.mark.parametrize("path", ["apply", "delete", "shutdown"])
def test_the_page_cannot_change_the_mesh_even_with_its_token(
    page: TestClient, mesh: FakeMeshApi, own: dict[str, str], path: str
) -> None:
    answer = page.post(f"/api/v1/{path}", content=b'{"keys": []}', headers=own)
    assert answer.status_code == 403
    assert mesh.calls == []


def test_writes_over_loopback_must_be_asked_for(mesh: FakeMeshApi, own: dict[str, str]) -> None:
    access = LoopbackAccess(PORT, own["x-osm-token"], writes=True)
    with TestClient(build_app(mesh, access=access), base_url=own["origin"]) as client:
        assert client.post("/api/v1/apply", content="", headers=own).status_code == 200
        assert client.post("/api/v1/apply", content="").status_code == 403
        assert client.post("/api/v1/shutdown", headers=own).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])
def test_other_methods_are_not_served(page: TestClient, own: dict[str, str], method: str) -> None:
    assert page.request(method, "/api/v1/view", headers=own).status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/assets/page.js", "/api/v1/view", "/api/v1/nothing", "/nothing"]
)
def test_every_answer_has_the_protecting_headers(page: TestClient, path: str) -> None:
    headers = page.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers
    assert "set-cookie" not in headers


def test_refusals_have_the_protecting_headers_too(page: TestClient) -> None:
    answer = page.get("/", headers={"host": "attacker.example"})
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_body_over_the_limit_is_refused(page: TestClient, own: dict[str, str]) -> None:
    body = b" " * (1024 * 1024 + 1)
    assert page.post("/api/v1/explain", content=body, headers=own).status_code == 413


def test_a_body_of_unknown_length_is_cut_off(page: TestClient, own: dict[str, str]) -> None:
    pieces = (b" " * 65536 for _ in range(64))
    assert page.post("/api/v1/explain", content=pieces, headers=own).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/assets/../secret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/..%2fsecret.txt",
        "/static/",
    ],
)
def test_only_the_page_is_served_from_its_directory(page: TestClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_an_error_inside_shows_nothing_of_the_inside(
    mesh: FakeMeshApi, access: LoopbackAccess, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_view: MeshView) -> MeshView:
        raise RuntimeError("key=s3cr3t")

    mesh.change = fail
    app = build_app(mesh, access=access)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        answer = client.get("/api/v1/view")
    assert answer.status_code == 500
    assert "s3cr3t" not in answer.text
    assert "Traceback" not in answer.text
    assert "nosniff" in answer.headers["x-content-type-options"]
    assert "s3cr3t" in caplog.text


def test_the_token_is_new_for_each_run_and_not_in_a_repr() -> None:
    first, second = LoopbackAccess(1), LoopbackAccess(1)
    assert first.token != second.token
    assert len(first.token) >= 32
    assert first.token not in repr(first)


def test_more_streams_than_allowed_are_refused(mesh: FakeMeshApi) -> None:
    feed = Feed(mesh.view, max_streams=0)
    with TestClient(build_app(mesh, access=SocketAccess(), feed=feed)) as client:
        for path in ("/api/v1/events", "/api/v1/logs?workload=bookbuyer"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "Too many" in answer.json()["message"]


XSS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "\u2028alert(1)",
    "\x1b[31mred\r\nSet-Cookie: a=b",
)


@pytest.mark.parametrize("text", XSS)
def test_hostile_text_is_only_ever_json(page: TestClient, mesh: FakeMeshApi, text: str) -> None:
    def hostile(view: MeshView) -> MeshView:
        return msgspec.structs.replace(view, mesh=text)

    mesh.change = hostile
    answer = page.get("/api/v1/view")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["mesh"] == text
