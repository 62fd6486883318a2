"""`osm explain`: verdict, steps with their origins, shares, and what would change it."""

import msgspec
import pytest

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.model.route import HttpMatch, Route
from osm.testing.builders import (
    PERMISSIVE,
    Part,
    http_group,
    mesh_config,
    model,
    pod,
    port_name,
    service,
    split,
    target,
    tcp_route,
)

SECOND = target("u", "store2", ["buyers/buyer"], "HTTPRouteGroup/routes/buy", namespace="books")
MESH: tuple[Part, ...] = (
    pod("buyer-1", namespace="buyers", app="buyer", ip="10.0.0.1"),
    pod("thief-1", namespace="thieves", app="thief", ip="10.0.0.2"),
    pod("v1-1", namespace="books", app="v1", account="store", ip="10.0.0.3"),
    pod("v2-1", namespace="books", app="v2", account="store2", ip="10.0.0.4"),
    pod("db-1", namespace="books", app="db", ip="10.0.0.5"),
    pod("sleepy-1", namespace="books", app="sleepy", ip="10.0.0.6", ready=False),
    service("store", 80, namespace="books", app="v1"),
    service("v1", 80, namespace="books", ip="10.1.0.2"),
    service("v2", 80, namespace="books", ip="10.1.0.3"),
    service("db", {"port": 5432, "name": "tcp-db"}, namespace="books", ip="10.1.0.4"),
    service("sleepy", 80, namespace="books", ip="10.1.0.5"),
    service("empty", 80, namespace="books", ip="10.1.0.6"),
    service("lost", {"port": 80, "targetPort": "x"}, namespace="books", app="v1", ip="10.1.0.8"),
    service("two", 80, 81, namespace="books", app="v1", ip="10.1.0.7"),
    http_group(
        "routes",
        {"name": "buy", "pathRegex": ".*a-book.*new", "methods": ["GET"]},
        {"name": "beta", "pathRegex": "/beta", "headers": [{"x-beta": "yes"}]},
        namespace="books",
    ),
    tcp_route("db", 5432, namespace="books"),
    target("t", "store", ["buyers/buyer"], "HTTPRouteGroup/routes/buy", namespace="books"),
    SECOND,
    target("d", "db", ["buyers/buyer"], "TCPRoute/db", namespace="books"),
    target("s", "sleepy", ["buyers/buyer"], "HTTPRouteGroup/routes", namespace="books"),
)
SPLIT = split("canary", "store", {"v1": 75, "v2": 25}, namespace="books")
BUY = "/buy-a-book/new"


def ask(
    source: str,
    destination: str,
    method: str = "GET",
    path: str = BUY,
    *more: Part,
    headers: tuple[tuple[str, str], ...] = (),
) -> Explanation:
    return explain(model(*MESH, *more), Question(source, destination, method, path, headers))


def step(answer: Explanation, title: str) -> Step:
    (found,) = [step for step in answer.steps if step.title == title]
    return found


@pytest.mark.parametrize(
    ("source", "destination", "method", "path", "verdict"),
    [
        pytest.param("buyer", "store.books", "GET", BUY, "allowed", id="by app"),
        pytest.param("buyers/buyer-1", "store.books:80", "GET", BUY, "allowed", id="by pod"),
        pytest.param("buyer", "store.books", "get", BUY, "allowed", id="method in lower case"),
        pytest.param("buyer", "store.books", "GET", BUY + "?x=/y", "allowed", id="query"),
        pytest.param("buyer", "10.1.0.1", "GET", BUY, "allowed", id="by address"),
        pytest.param("buyer", "store", "GET", BUY, "allowed", id="elsewhere"),
        pytest.param("buyer", "store.books", "GET", "/other", "denied", id="path"),
        pytest.param("buyer", "store.books", "POST", BUY, "denied", id="method"),
        pytest.param("thief", "store.books", "GET", BUY, "denied", id="source"),
        pytest.param("v1-1", "v1.books", "GET", BUY, "denied", id="itself"),
        pytest.param("buyer", "store.books", "GET", "/a%2fb", "redirected", id="escaped slash"),
        pytest.param("buyer", "store.books", "GET", "/a b", "refused", id="no path"),
        pytest.param("buyer", "db.books:5432", "", "", "allowed", id="TCP"),
        pytest.param("thief", "db.books:5432", "", "", "denied", id="TCP denied"),
        pytest.param("buyer", "db.books:5432", "GET", "/", "allowed", id="HTTP on a TCP port"),
        pytest.param("thief", "store.books", "", "", "denied", id="TCP on an HTTP port"),
        pytest.param("nobody", "store.books", "GET", BUY, "unknown source", id="no source"),
        pytest.param("buyer", "nothing.books", "GET", BUY, "no route", id="no destination"),
        pytest.param("buyer", "store.books:81", "GET", BUY, "no route", id="no such port"),
        pytest.param("buyer", "two.books", "GET", BUY, "allowed", id="two ports, 80 is meant"),
        pytest.param("buyer", "store.books:web", "GET", BUY, "bad destination", id="no number"),
        pytest.param("buyer", "db.books", "", "", "allowed", id="its only port"),
        pytest.param("buyer", "empty.books", "GET", BUY, "no endpoints", id="nobody behind"),
        pytest.param("buyer", "lost.books", "GET", BUY, "no endpoints", id="no such target port"),
        pytest.param("buyer", "sleepy.books", "GET", BUY, "no endpoints", id="nobody ready"),
    ],
)
def test_a_verdict(source: str, destination: str, method: str, path: str, verdict: str) -> None:
    answer = ask(source, destination, method, path)
    assert answer.verdict == verdict
    assert answer.allowed == (verdict == "allowed" or "sleepy" in destination)
    assert bool(answer.remedy) == (verdict == "denied")
    assert answer.summary


def test_who_may_learns_of_target_match_split_and_backends() -> None:
    answer = ask("buyer", "store.books:80", "GET", BUY, SPLIT)
    assert answer.verdict == "allowed"
    assert answer.backends == (("books/v1:80", 75.0), ("books/v2:80", 25.0))
    assert answer.summary == "allowed, to books/v1:80 (75 %), books/v2:80 (25 %)"
    route = step(answer, "route")
    assert route.text == "75 % to books/v1:80, 25 % to books/v2:80"
    assert [str(o) for o in route.origins] == ["TrafficSplit books/canary spec.backends"]
    access = step(answer, "access to books/store2")
    assert access.outcome == "ok"
    assert [str(o) for o in access.origins] == [
        "TrafficTarget books/u spec.rules[0]",
        "HTTPRouteGroup books/routes spec.matches[0] (buy)",
    ]
    assert "books/v2-1" in step(answer, "endpoints of books/v2:80").text
    assert "identity spiffe://cluster.local/ns/buyers/sa/buyer" in step(answer, "source").text
    assert "port 80 (http), target port 80" in step(answer, "destination").text


def test_transport_says_tls_versions_and_whom_the_client_accepts() -> None:
    text = step(ask("buyer", "store.books"), "transport").text
    assert text.startswith("mutual TLS 1.3: buyers/buyer shows the certificate of spiffe://")
    assert text.endswith("and accepts spiffe://cluster.local/ns/books/sa/store")
    older = mesh_config(sidecar={"tlsMinProtocolVersion": "TLSv1_2"})
    found = step(ask("buyer", "store.books", "GET", BUY, older), "transport")
    assert "mutual TLS 1.2 to 1.3: " in found.text
    assert [o.field for o in found.origins] == ["spec.sidecar.tlsMinProtocolVersion"]


def test_who_may_not_learns_what_is_missing() -> None:
    answer = ask("thief", "store.books:80")
    access = step(answer, "access to books/store")
    assert access.outcome == "denied"
    assert "no HTTP access rule for books/store names thieves/thief" in access.text
    assert [str(o) for o in access.origins] == ["TrafficTarget books/t spec.rules[0]"]
    assert answer.summary == (
        "no access rule lets thieves/thief send GET /buy-a-book/new to books/store"
    )
    assert "kind: TrafficTarget" in answer.remedy and "name: thief" in answer.remedy


def test_a_source_without_a_fitting_match_learns_where_was_looked() -> None:
    access = step(ask("buyer", "store.books", "GET", "/other"), "access to books/store")
    assert access.text == "buyers/buyer may call it, but no match fits the request"
    assert "HTTPRouteGroup books/routes spec.matches[0] (buy)" in map(str, access.origins)


def test_tcp_access_is_explained_by_its_route() -> None:
    access = step(ask("buyer", "db.books:5432", ""), "access to books/db")
    assert access.text == "TrafficTarget books/d, by TCPRoute db, allows it"
    assert "TCPRoute books/db spec.matches.ports" in map(str, access.origins)
    denied = step(ask("thief", "db.books:5432", ""), "access to books/db")
    assert "no TCP access rule" in denied.text


def test_permissive_mode_allows_and_says_that_it_is_permissive() -> None:
    answer = ask("thief", "store.books", "DELETE", "/anything", PERMISSIVE)
    assert answer.verdict == "allowed"
    access = step(answer, "access to books/store")
    assert "permissive mode" in access.text
    assert [o.kind for o in access.origins] == ["MeshConfig"]


def test_half_of_a_split_may_be_denied() -> None:
    found = model(*(part for part in MESH if part is not SECOND), SPLIT)
    answer = explain(found, Question("buyer", "store.books", "GET", BUY))
    assert answer.verdict == "partly denied" and not answer.allowed
    assert "books/store2" in answer.summary and "name: store2" in answer.remedy
    assert answer.backends == (("books/v1:80", 75.0), ("books/v2:80", 25.0))


@pytest.mark.parametrize("weights", [{"v1": 0, "v2": 0}, {"gone": 1}])
def test_a_split_without_backends_is_explained(weights: dict[str, object]) -> None:
    answer = ask(
        "buyer", "store.books", "GET", BUY, split("c", "store", weights, namespace="books")
    )
    assert answer.verdict == "no backend"
    assert step(answer, "route").outcome == "failed"
    assert "TrafficSplit books/c" in answer.summary


@pytest.mark.parametrize(
    ("headers", "backend"),
    [
        ((), "books/store:80"),
        ((("X-Beta", "yes"),), "books/v2:80"),
        ((("x-beta", "no"),), "books/store:80"),
    ],
)
def test_a_split_with_matches_is_followed(
    headers: tuple[tuple[str, str], ...], backend: str
) -> None:
    beta = split("c", "store", {"v2": 1}, namespace="books", matches=["beta"])
    group = http_group("beta", {"name": "b", "headers": [{"x-beta": "yes"}]}, namespace="books")
    answer = ask("buyer", "store.books", "GET", BUY, beta, group, headers=headers)
    assert answer.backends == ((backend, 100.0),)


def test_headers_count_and_names_are_taken_in_any_case() -> None:
    allow = target("b", "store", ["buyers/buyer"], "HTTPRouteGroup/routes/beta", namespace="books")
    with_header = ask("buyer", "store.books", "GET", "/beta", allow, headers=(("X-Beta", "yes"),))
    assert with_header.verdict == "allowed"
    assert ask("buyer", "store.books", "GET", "/beta", allow).verdict == "denied"


def test_a_path_is_explained_as_it_arrives() -> None:
    answer = ask("buyer", "store.books", "GET", "/x/../buy-a-book//new")
    assert answer.verdict == "allowed"
    assert step(answer, "path").text.startswith("normalised to /buy-a-book/new, ")
    answer = ask("buyer", "store.books", "GET", "/buy-a-book/%2e%2e/new")
    assert answer.verdict == "denied"


def test_a_short_name_from_elsewhere_says_what_must_be_written() -> None:
    assert "store.books" in step(ask("buyer", "store"), "short name").text


def test_a_protocol_that_was_not_asked_for_is_explained_as_what_it_is() -> None:
    assert "tcp" in step(ask("buyer", "db.books:5432", "GET", "/"), "protocol").text
    assert "http" in step(ask("thief", "store.books", ""), "protocol").text


def test_a_port_limit_counts_by_the_target_port() -> None:
    parts = (
        pod("buyer"),
        pod("shop", ip="10.0.0.2"),
        service("shop", {"port": 80, "name": "a", "targetPort": 8080}, {"port": 81, "name": "b"}),
        http_group("all"),
        tcp_route("only", 8080),
        target("t", "shop", ["buyer"], "HTTPRouteGroup/all", "TCPRoute/only"),
    )
    found = model(*parts)
    assert explain(found, Question("buyer", "shop:80", "GET", "/")).allowed
    assert not explain(found, Question("buyer", "shop:81", "GET", "/")).allowed


def test_a_route_none_of_whose_rules_fits_is_explained() -> None:
    """No front end makes one yet: SMI's splits always have a rule for the rest."""
    found = model(*MESH)
    name = port_name("books/store:80")
    only = msgspec.structs.replace(
        found.routes[name].rules[0], matches=(HttpMatch(methods=("PUT",)),)
    )
    routes = {**found.routes, name: Route(name, (only,))}
    changed = msgspec.structs.replace(found, routes=routes)
    answer = explain(changed, Question("buyer", "store.books", "GET", BUY))
    assert (answer.verdict, answer.allowed) == ("no route", False)
    assert step(answer, "route").text == "no rule of the route fits: 404"
