"""What an explanation says when the caller, or those who are called, have no proxy of the mesh."""

import pytest
from tests.unit.compile.pods_of_a_cluster import SHOP, asking, bare, former, own

from osm.core.compile.options import CompileOptions
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.state import with_state
from osm.testing.builders import PERMISSIVE, Document, model, pod, service

BUYER = pod("buyer", namespace=SHOP, ip="10.0.0.8", owner=("ReplicaSet", "buyer-7c"))
A, B = bare("a", "10.0.0.1"), bare("b", "10.0.0.2")
STARTING = bare("b", "10.0.0.2", ready=False)
MESH = (
    asking(),
    service("web", 80, {"port": 5432, "name": "tcp-db"}, namespace=SHOP, app="web"),
    PERMISSIVE,
)
RESTART = "Make them anew: `kubectl rollout restart deployment/{} -n shop`."


def ask(
    *pods: Document, to: str = "web", method: str = "GET", former_mesh: str = ""
) -> Explanation:
    options = CompileOptions(former_mesh=former_mesh)
    question = Question(f"{SHOP}/buyer", to, method, "/" if method else "")
    return explain(model(*MESH, *pods, options=options), question)


def text_of(answer: Explanation, title: str, outcome: str) -> str:
    (found,) = [s for s in answer.steps if (s.title, s.outcome) == (title, outcome)]
    return found.text


@pytest.mark.parametrize(
    ("to", "method", "result"),
    [("web", "GET", "503"), ("web:5432", "", "the connection is closed")],
)
def test_nobody_behind_the_service_has_a_proxy(to: str, method: str, result: str) -> None:
    answer = ask(own(BUYER), A, B, to=to, method=method)
    assert (answer.verdict, answer.allowed) == ("no endpoints", True)
    assert answer.summary == (
        f"allowed, but no ready workload behind the service has a proxy of the mesh: {result}"
    )
    assert answer.advice == (RESTART.format("web"),)
    where = f"endpoints of shop/{to if ':' in to else to + ':80'}"
    assert text_of(answer, where, "failed") == (
        f"shop/a, shop/b: none has a proxy of the mesh, so that nobody takes mutual TLS: {result}"
    )
    told = text_of(answer, "without proxy", "info")
    assert told.startswith("Deployment shop/web: 2 pods have no proxy, since they were made before")
    assert told.endswith("[OSM225]")


def test_who_has_no_proxy_gets_no_calls_beside_those_who_have() -> None:
    answer = ask(own(BUYER), A, own(B))
    assert (answer.verdict, answer.advice) == ("allowed", ())
    assert text_of(answer, "endpoints of shop/web:80", "ok") == "shop/b"
    assert text_of(answer, "endpoints of shop/web:80", "info") == (
        "shop/a: without a proxy of the mesh, so no calls go there"
    )
    assert "1 pod has no proxy" in text_of(answer, "without proxy", "info")


def test_a_rollout_whose_first_pod_is_not_ready() -> None:
    answer = ask(own(BUYER), A, own(STARTING))
    assert answer.verdict == "no endpoints"
    assert answer.summary.startswith(
        "allowed, but no ready workload behind the service has a proxy"
    )
    assert text_of(answer, "endpoints of shop/web:80", "failed").startswith("shop/a: none has")


def test_nothing_is_said_where_everybody_has_a_proxy() -> None:
    answer = ask(own(BUYER), own(A), own(B))
    assert answer.verdict == "allowed"
    assert "proxy" not in {step.title for step in answer.steps if step.outcome == "info"}
    assert "without proxy" not in {step.title for step in answer.steps}


def test_a_caller_without_a_proxy_is_refused_by_those_with_one() -> None:
    answer = ask(BUYER, own(A))
    assert (answer.verdict, answer.allowed) == ("refused", False)
    assert answer.summary == "the pods behind shop/web:80 take calls through their proxies only"
    assert answer.advice == (RESTART.format("buyer"),)
    assert "the caller has no proxy" in text_of(answer, "around", "info")
    assert "Deployment shop/buyer: 1 pod has no proxy" in text_of(answer, "without proxy", "info")


def test_two_without_proxies_talk_past_the_mesh() -> None:
    answer = ask(BUYER, A)
    assert (answer.verdict, answer.allowed) == ("allowed", True)
    assert answer.summary == "allowed, to web, around the proxy"


def test_a_caller_with_another_meshs_proxy() -> None:
    answer = ask(former(BUYER), own(A))
    assert (answer.verdict, answer.allowed) == ("refused", False)
    assert (
        answer.summary == "the caller's proxy is another mesh's, and nobody trusts its certificate"
    )
    assert answer.advice == (RESTART.format("buyer"),)
    trusted = ask(former(BUYER), own(A), former_mesh="former")
    assert trusted.verdict == "allowed"
    assert "mesh former says whom they may call" in text_of(trusted, "without proxy", "info")


def test_a_pod_of_nobody_is_told_once() -> None:
    """Findings about pods come with the proxies' state, too."""
    alone = pod("a", namespace=SHOP, app="web", ip="10.0.0.1")
    meaning = model(*MESH, own(BUYER), alone, options=CompileOptions())
    answer = explain(meaning, Question(f"{SHOP}/buyer", "web", "GET", "/"))
    whole = with_state(answer, (), meaning.findings)
    assert len([step for step in whole.steps if "[OSM225]" in step.text]) == 1
