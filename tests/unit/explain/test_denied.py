"""A refusal is asked of the model again: still so, and what would change it; or allowed by now."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.explain.decide import explain
from osm.core.explain.denied import explain_refusal
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal, read_refusal
from osm.testing.builders import (
    Part,
    http_group,
    ingress_backend,
    mesh_config,
    model,
    pod,
    service,
    target,
    tcp_route,
)

MESH: tuple[Part, ...] = (
    pod("buyer-1", app="buyer"),
    pod("shop-1", app="shop", namespace="shop", ip="10.0.0.2"),
    pod("shop-2", app="shop", namespace="shop", ip="10.0.0.3"),
    service(
        "front",
        {"port": 80, "name": "http", "targetPort": 8080},
        {"port": 5432, "name": "tcp-db"},
        namespace="shop",
        app="shop",
    ),
    http_group(
        "g",
        {"name": "admin", "pathRegex": "/admin", "headers": [{"x-role": "admin"}]},
        {"name": "buy", "pathRegex": "/buy", "methods": ["GET"]},
        namespace="shop",
    ),
)
ALLOW = target("t", "shop", ["default/buyer"], "HTTPRouteGroup/g", namespace="shop")
MODEL = model(*MESH)
OPEN = model(*MESH, mesh_config(traffic={"enableEgress": True}))
BUY = Refusal(
    "default/buyer", "shop/shop-1", 8080, "GET", "/buy", reason="old", time="2026-01-01T00:00:00"
)


def ask(refusal: Refusal, *parts: Part) -> Explanation:
    return explain_refusal(model(*MESH, *parts), refusal)


def changed(refusal: Refusal, **fields: object) -> Refusal:
    return msgspec.structs.replace(refusal, **fields)


def test_what_is_still_denied_has_then_now_and_the_remedy() -> None:
    answer = ask(BUY)
    assert (answer.verdict, answer.allowed) == ("denied", False)
    assert answer.summary.startswith("still so: no HTTP access rule for shop/shop names")
    assert answer.steps[0].text == (
        "at 2026-01-01T00:00:00: default/buyer was refused GET /buy at port 8080 by shop/shop-1 (old)"
    )
    fixed = explain_refusal(model(*MESH, answer.remedy), BUY)
    assert fixed.verdict == "allowed"


def test_a_proxy_of_osm_is_asked_about_by_its_certificates_name() -> None:
    body = (
        "access denied by the mesh: buyer.default.cluster.local may not GET /buy of shop/shop "
        "(rbac_access_denied_matched_policy[no-access-rule-for-source])"
    )
    found = read_refusal(body)
    assert isinstance(found, Refusal)
    answer = ask(changed(found, port=8080))
    assert (answer.verdict, answer.remedy) == ("denied", ask(BUY).remedy)


def test_what_was_mended_since_would_be_allowed_now() -> None:
    answer = ask(BUY, ALLOW)
    assert (answer.verdict, answer.allowed) == ("allowed", True)
    assert answer.summary == (
        "refused then, and it would be allowed now: TrafficTarget shop/t, match buy, allows it"
    )
    assert answer.steps[0].outcome == "denied"
    assert answer.workloads == ("default/buyer-1", "shop/shop-1")


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "spiffe://cluster.local/ns/default/sa/buyer"},
        {"destination": "shop/shop"},
        {"port": 0},
        {"destination": "", "authority": "front.shop"},
        {"source": "buyer", "destination": "", "authority": "front.shop:80"},
        {"source": "buyer-1"},
    ],
)
def test_every_spelling_of_the_two_sides_is_understood(fields: dict[str, object]) -> None:
    for parts, verdict in (((), "denied"), ((ALLOW,), "allowed")):
        answer = ask(changed(BUY, **fields), *parts)
        assert answer.verdict == verdict
        assert answer.question.source == "default/buyer-1"


def test_the_question_of_the_answer_asks_for_the_whole_way() -> None:
    for parts in ((), (ALLOW,)):
        found = model(*MESH, *parts)
        answer = explain_refusal(found, BUY)
        assert answer.question.destination == "front.shop:80"
        assert explain(found, answer.question).verdict == answer.verdict


def test_a_connection_is_asked_about_as_one() -> None:
    refusal = Refusal("default/buyer", "shop/shop-2", 5432)
    answer = ask(refusal, ALLOW)
    assert answer.summary.startswith("still so: no TCP access rule")
    assert "a TCP connection at port 5432 by shop/shop-2" in answer.steps[0].text
    both = (tcp_route("r", 5432, namespace="shop"),)
    allow = target("tcp", "shop", ["default/buyer"], "TCPRoute/r", namespace="shop")
    assert ask(refusal, *both, allow).verdict == "allowed"


def test_what_the_external_authorizer_refused_is_not_said_to_be_allowed_now() -> None:
    answer = ask(changed(BUY, reason="external-authorizer-refused"), ALLOW)
    assert answer.summary == (
        "the external authorizer did not let it in, and is asked anew each time; TrafficTarget shop/t, "
        "match buy, allows it"
    )


def test_headers_that_no_log_has_are_asked_for_and_count() -> None:
    refusal = changed(BUY, path="/admin")
    answer = ask(refusal, ALLOW)
    assert answer.verdict == "denied"
    assert answer.advice == (
        "Logs do not keep headers, and some rules look at them: add them with -H.",
    )
    known = changed(refusal, headers=(("X-Role", "admin"),))
    assert ask(known, ALLOW).verdict == "allowed"


@pytest.mark.parametrize(
    ("fields", "verdict", "text"),
    [
        ({"source": "nobody"}, "unknown source", "'nobody' is nobody's name in the mesh"),
        ({"destination": "shop/gone"}, "no route", "nothing called shop/gone takes GET /buy"),
        ({"port": 81}, "no route", "takes GET /buy at port 81 any more"),
        ({"source": "spiffe://other/ns/a/sa/b"}, "denied", "names a/b as a source"),
        ({"reason": "no-ingress-for-principal"}, "unknown source", "outside of the mesh"),
    ],
)
def test_what_is_gone_or_foreign_is_said(
    fields: dict[str, object], verdict: str, text: str
) -> None:
    answer = ask(changed(BUY, **fields), ALLOW)
    assert (answer.verdict, answer.allowed) == (verdict, False)
    assert text in answer.summary
    assert answer.remedy == ""


WORDS = st.sampled_from(
    [
        *("default/buyer", "shop/shop-1", "10.9.0.1", "spiffe://cluster.local/ns/a/sa/b"),
        *("GET", "/buy", "/%2f", "", "/", "//", "a/b/c", "-", "80", "x y", "\x1b", "[", "{", "é"),
        *(
            "9" * 5000,
            "front.shop:99999",
            "front.shop:" + "9" * 5000,
            "front.shop:80",
            ":",
            "a:b:c",
        ),
    ]
)


@given(st.builds(Refusal, WORDS, WORDS, st.integers(), WORDS, WORDS, WORDS, WORDS, WORDS))
def test_whatever_is_asked_gets_an_answer(refusal: Refusal) -> None:
    answer = explain_refusal(MODEL, refusal)
    assert answer.summary
    assert answer.allowed == (answer.verdict == "allowed")


@given(WORDS, WORDS, WORDS, WORDS, WORDS)
def test_whatever_question_is_asked_gets_an_answer(
    source: str, destination: str, method: str, path: str, host: str
) -> None:
    for headers in ((), (("Host", host),)):
        for found in (MODEL, OPEN):
            question = Question(source, destination, method, path, headers)
            assert explain(found, question).summary


@given(st.lists(WORDS, min_size=6, max_size=6) | st.lists(st.text(), min_size=6, max_size=6))
def test_whatever_a_text_says_is_read_or_refused(words: list[str]) -> None:
    source, destination, port, method, path, reason = words
    for text in (
        f"access denied by the mesh: {source} may not {method} {path} of {destination} ({reason})",
        f"[x] denied source={source} destination={destination} port={port} method={method} path={path}",
        json.dumps({"source": source, "destination": destination, "port": port, "method": method}),
        " ".join(words),
    ):
        found = read_refusal(text)
        if isinstance(found, Refusal):
            assert explain_refusal(MODEL, found).summary


def test_who_called_from_outside_is_asked_about_at_the_pods_port() -> None:
    refusal = changed(BUY, source="10.9.0.1")
    answer = ask(refusal)
    assert (answer.verdict, answer.question.destination) == ("denied", "front.shop:8080")
    backend = ingress_backend(
        "i",
        [{"name": "front", "port": {"number": 8080, "protocol": "http"}}],
        [{"kind": "IPRange", "name": "10.9.0.0/16"}],
        namespace="shop",
    )
    assert ask(refusal, backend).summary.startswith("refused then, and it would be allowed now")
