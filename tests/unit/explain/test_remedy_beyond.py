"""Remedies for what goes beyond the mesh or comes from there: they allow what was asked, and no more."""

from collections.abc import Iterator
from itertools import product

import pytest

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question
from osm.core.model.mesh import Model
from osm.testing.builders import (
    Part,
    egress,
    http_group,
    ingress_backend,
    manifests,
    model,
    pod,
    service,
)

SHOP: tuple[Part, ...] = (
    pod("buyer"),
    pod("thief", ip="10.0.0.2"),
    pod("shop", ip="10.0.0.3", namespace="shop"),
    service(
        "shop",
        {"port": 80, "name": "http", "targetPort": 8080},
        {"port": 5432, "name": "tcp-db"},
        namespace="shop",
    ),
    service("other", {"port": 81, "name": "http"}, namespace="shop", app="shop", ip="10.1.0.9"),
)
PLACES = (
    *("example.org", "example.org:8080", "www.example.org", "9.9.9.9", "9.9.9.9:53", "9.9.9.8:53"),
    *("example.org:443", "www.example.org:443", "example.com:443", "shop.shop", "shop.shop:5432"),
)
CALLERS = ("10.9.0.1", "10.9.0.2")
OUTSIDE = ("shop.shop:8080", "other.shop:81", "shop.shop:5432")


def questions() -> Iterator[Question]:
    """Many that have nothing to do with each other."""
    for source, place, (method, path) in product(
        ("buyer", "thief", "shop/shop"),
        PLACES,
        (("GET", "/a.b"), ("GET", "/aXb"), ("POST", "/a.b"), ("", "/")),
    ):
        yield Question(source, place, method, path)
    for source, place, (method, path) in product(
        CALLERS, OUTSIDE, (("GET", "/a.b"), ("GET", "/"), ("POST", "/a.b"))
    ):
        yield Question(source, place, method, path)


def answers(found: Model) -> dict[Question, bool]:
    return {question: explain(found, question).allowed for question in questions()}


def allowed_by(answer: Explanation, *parts: Part) -> set[Question]:
    """What is allowed with an answer's remedy, and was not before. Nothing is lost."""
    before = answers(model(*SHOP, *parts))
    after = answers(model(*SHOP, *parts, answer.remedy))
    assert not [question for question in before if before[question] and not after[question]]
    return {question for question in after if after[question] and not before[question]}


@pytest.mark.parametrize(
    ("question", "kinds", "also"),
    [
        (Question("buyer", "example.org", "GET", "/a.b"), ["HTTPRouteGroup", "Egress"], ()),
        (Question("buyer", "example.org:8080", "GET", "/a.b"), ["HTTPRouteGroup", "Egress"], ()),
        (Question("buyer", "9.9.9.9", "GET", "/a.b"), ["HTTPRouteGroup", "Egress"], ()),
        (Question("shop/shop", "www.example.org", "POST", "/a.b"), ["HTTPRouteGroup", "Egress"], ()),
        (Question("buyer", "example.org:443"), ["Egress"], ()),
        # Whatever is sent over the connection: proxies see only the address.
        (Question("buyer", "9.9.9.9:53"), ["Egress"], ("GET", "POST")),
        (Question("10.9.0.1", "shop.shop:8080", "GET", "/a.b"), ["HTTPRouteGroup", "IngressBackend"], ()),
        (Question("10.9.0.2", "other.shop:81", "GET", "/"), ["HTTPRouteGroup", "IngressBackend"], ()),
    ],
    ids=lambda value: getattr(value, "destination", None),
)  # fmt: skip
def test_a_remedy_allows_what_was_asked_and_nothing_else(
    question: Question, kinds: list[str], also: tuple[str, ...]
) -> None:
    answer = explain(model(*SHOP), question)
    assert not answer.allowed
    assert [m.key.kind for m in manifests(answer.remedy)] == kinds
    new = allowed_by(answer)
    assert question in new
    rest = {(q.source, q.destination, q.method) for q in new - {question}}
    assert rest == {(question.source, question.destination, method) for method in also}


def test_a_host_that_may_be_called_in_another_way_gets_one_more_match() -> None:
    parts = (
        http_group("g", {"name": "read", "pathRegex": "/aXb", "methods": ["GET"]}),
        egress("e", ["buyer"], ["http:80"], "example.org", groups=["g"]),
    )
    question = Question("buyer", "example.org", "GET", "/a.b")
    answer = explain(model(*SHOP, *parts), question)
    assert answer.verdict == "no route"
    (closest,) = [step.text for step in answer.steps if step.title == "closest match"]
    assert closest.endswith(
        "(read) does not fit it: the path /a.b is not one that fits the regex /aXb"
    )
    assert allowed_by(answer, *parts) == {question}


def test_of_a_name_on_another_port_only_tls_can_be_allowed_and_that_is_said() -> None:
    answer = explain(model(*SHOP), Question("buyer", "example.org:9999"))
    assert "protocol: https" in answer.remedy
    assert "only the address" in answer.advice[0]
    assert explain(model(*SHOP, answer.remedy), answer.question).allowed


@pytest.mark.parametrize(
    "destination",
    [
        "shopp.shop",
        "gone.default",
        "shop.shop.svc.cluster.local:81",
        "127.0.0.1:80",
        "gone",
        "1.2.3",
    ],
)
def test_what_looks_like_a_service_of_the_mesh_gets_no_way_out(destination: str) -> None:
    answer = explain(model(*SHOP), Question("buyer", destination, "GET", "/"))
    assert (answer.verdict, answer.remedy) == ("no route", "")
    assert any("never leave the pod" in text for text in answer.advice) == ("127" in destination)


@pytest.mark.parametrize(
    ("question", "advice"),
    [
        (
            Question("10.7.7.7", "shop.shop:8080", "GET", "/read"),
            "Add `{kind: IPRange, name: 10.7.7.7/32}` to `spec.sources` of IngressBackend shop/i.",
        ),
        (
            Question("10.9.0.1", "shop.shop:8080", "GET", "/a.b"),
            "Add an HTTPRouteGroup that fits to `spec.matches` of IngressBackend shop/i.",
        ),
    ],
)
def test_where_an_ingress_backend_is_already_it_must_be_edited(
    question: Question, advice: str
) -> None:
    """A second one for the port would have no effect."""
    parts = (
        http_group("g", {"name": "read", "pathRegex": "/read"}, namespace="shop"),
        ingress_backend(
            "i",
            [{"name": "shop", "port": {"number": 8080, "protocol": "http"}}],
            [{"kind": "IPRange", "name": "10.9.0.0/16"}],
            namespace="shop",
            matches=("g",),
        ),
    )
    answer = explain(model(*SHOP, *parts), question)
    assert (answer.verdict, answer.remedy, answer.advice) == ("denied", "", (advice,))


def test_from_outside_a_port_that_is_not_http_has_no_remedy_and_several_must_be_chosen_from() -> (
    None
):
    found = model(*SHOP, service("two", 90, 91, namespace="shop", app="shop", ip="10.1.0.8"))
    closed = explain(found, Question("10.9.0.1", "shop.shop:5432", "GET", "/"))
    assert "needs an HTTP port" in closed.advice[0]
    assert "there is 8080" in closed.advice[0]
    several = explain(found, Question("10.9.0.1", "two.shop", "GET", "/"))
    assert several.advice == ("Name a port of the pods: 90, 91.",)


def test_a_remedy_takes_no_name_that_an_egress_or_ingress_backend_has() -> None:
    parts = (egress("buyer-to-example.org", ["buyer"], ["http:80"], "example.net"),)
    question = Question("buyer", "example.org", "GET", "/a.b")
    answer = explain(model(*SHOP, *parts), question)
    assert {m.key.name for m in manifests(answer.remedy)} == {"buyer-to-example.org-2"}
