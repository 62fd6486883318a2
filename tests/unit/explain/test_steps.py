"""What an explanation says beside its verdict: closest rules, rules before, mistakes, states."""

import pytest

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.explain.state import with_state
from osm.core.explain.view import ProxyView, ResourceTypeView
from osm.core.model.origin import Finding, Origin, Severity
from osm.testing.builders import (
    Part,
    http_group,
    mesh_config,
    model,
    pod,
    retry,
    service,
    split,
    target,
    tcp_route,
    upstream,
)

MESH: tuple[Part, ...] = (
    pod("buyer"),
    pod("thief", ip="10.0.0.2"),
    pod("shop", ip="10.0.0.3"),
    service("shop", {"port": 80, "name": "http"}, {"port": 5432, "name": "tcp-db"}),
    http_group(
        "g",
        {"name": "buy", "pathRegex": "/buy", "methods": ["GET", "PUT"]},
        {"name": "admin", "pathRegex": "/admin", "headers": [{"x-role": "admin"}]},
    ),
    target("t", "shop", ["buyer"], "HTTPRouteGroup/g"),
)


def ask(question: Question, *parts: Part) -> Explanation:
    return explain(model(*MESH, *parts), question)


def step(answer: Explanation, title: str) -> Step:
    (found,) = [step for step in answer.steps if step.title == title]
    return found


@pytest.mark.parametrize(
    ("question", "text"),
    [
        pytest.param(
            Question("thief", "shop", "GET", "/buy"),
            "match buy, does not allow it: its sources are default/buyer, not default/thief",
            id="source",
        ),
        pytest.param(
            Question("buyer", "shop", "POST", "/buy"),
            "match buy, does not allow it: the method POST is none of GET, PUT",
            id="method",
        ),
        pytest.param(
            Question("buyer", "shop", "GET", "/sell"),
            "match buy, does not allow it: the path /sell is not one that fits the regex /buy",
            id="path",
        ),
        pytest.param(
            Question("buyer", "shop", "GET", "/admin"),
            "match admin, does not allow it: the header x-role is missing; it needs a value that fits "
            "the regex admin",
            id="header, though the other match lacks no more",
        ),
        pytest.param(
            Question("thief", "shop", "GET", "/admin", (("X-Role", "guest"),)),
            "match admin, does not allow it: its sources are default/buyer, not default/thief; the "
            "header x-role is guest, and needs a value that fits the regex admin",
            id="two parts",
        ),
        pytest.param(
            Question("buyer", "shop:5432"),
            "match buy, does not allow it: it is for HTTP, and port 5432 speaks TCP",
            id="protocol",
        ),
    ],
)
def test_a_denial_says_which_part_of_the_closest_rule_does_not_fit(
    question: Question, text: str
) -> None:
    answer = ask(question)
    assert answer.verdict == "denied"
    closest = step(answer, "closest rule for default/shop")
    assert closest.text == f"TrafficTarget default/t, {text}"
    assert [origin.kind for origin in closest.origins] == ["TrafficTarget", "HTTPRouteGroup"]


def test_a_rule_for_another_port_is_said_to_be_so() -> None:
    other = (tcp_route("r", 6000), target("db", "shop", ["buyer"], "TCPRoute/r"))
    closest = step(ask(Question("buyer", "shop:5432"), *other), "closest rule for default/shop")
    assert closest.text == (
        "TrafficTarget default/db, by TCPRoute r, does not allow it: it is for port 6000, not 5432"
    )


def test_without_any_rule_there_is_no_closest_one() -> None:
    answer = explain(model(*MESH[:-1]), Question("buyer", "shop", "GET", "/buy"))
    assert answer.verdict == "denied"
    assert not [step for step in answer.steps if step.title.startswith("closest")]


def test_the_rule_before_the_one_that_takes_a_request_is_said_not_to() -> None:
    parts = (
        service("beta", 80, app="shop", ip="10.1.0.2"),
        http_group("b", {"name": "b", "headers": [{"x-beta": "yes"}], "methods": ["GET"]}),
        split("s", "shop", {"beta": 1}, matches=["b"]),
    )
    before = step(ask(Question("buyer", "shop", "GET", "/buy"), *parts), "rule before")
    assert before.text == (
        "TrafficSplit default/s spec.backends is for other requests: the header x-beta is missing; it "
        "needs a value that fits the regex yes"
    )
    taken = ask(Question("buyer", "shop", "GET", "/buy", (("x-beta", "yes"),)), *parts)
    assert not [step for step in taken.steps if step.title == "rule before"]
    assert taken.backends == (("default/beta:80", 100.0),)


def test_a_mistake_in_a_rule_is_named_where_it_may_be_the_reason() -> None:
    wrong = target("w", "shop", ["thief"], "HTTPRouteGroup/gone")
    answer = ask(Question("thief", "shop", "GET", "/buy"), wrong)
    assert step(answer, "mistake").text == (
        "TrafficTarget default/w spec.rules[0]: HTTPRouteGroup default/gone does not exist, so this "
        "rule grants nothing [OSM301]"
    )
    allowed = ask(Question("buyer", "shop", "GET", "/buy"), wrong)
    assert not [step for step in allowed.steps if step.title == "mistake"]


def test_a_split_to_what_is_not_there_names_the_mistake_and_what_to_do() -> None:
    answer = ask(Question("buyer", "shop", "GET", "/buy"), split("s", "shop", {"gone": 1}))
    assert answer.verdict == "no backend"
    mistakes = [step.text for step in answer.steps if step.title == "mistake"]
    assert any("backend service 'gone' does not exist with port 80" in text for text in mistakes)
    assert answer.advice == (
        "In TrafficSplit default/s spec.backends, name a service that has port 80, with a weight above 0.",
    )


def test_retries_and_limits_are_told_in_permissive_mode_too() -> None:
    parts = (
        mesh_config(
            traffic={"enablePermissiveTrafficPolicyMode": True},
            featureFlags={"enableRetryPolicy": True},
        ),
        retry("r", "thief", ["shop"]),
        upstream(
            "u",
            "shop.default.svc.cluster.local",
            {
                "connectionSettings": {"tcp": {"maxConnections": 3}},
                "rateLimit": {"local": {"http": {"requests": 1, "unit": "second"}}},
            },
        ),
    )
    answer = ask(Question("thief", "shop", "GET", "/any"), *parts)
    assert answer.verdict == "allowed"
    titles = {step.title for step in answer.steps}
    assert titles >= {
        "retries",
        "request limit",
        "connection limits of default/shop:80",
        "transport",
    }


def proxy(name: str, **fields: object) -> ProxyView:
    values = {"connected": True, "in_sync": True} | fields
    return ProxyView("default", name, "", **values)  # type: ignore[arg-type]


REFUSED = (ResourceTypeView("RDS", 1, 2, 1, 1, "no"),)
GUARDED = Finding("OSM905", Severity.WARNING, Origin("Pod", "default", "buyer"), "it asks a lot")


@pytest.mark.parametrize(
    ("proxies", "texts"),
    [
        ((proxy("buyer"), proxy("shop")), []),
        ((proxy("buyer", connected=False),), ["default/buyer is not connected"]),
        ((proxy("shop", in_sync=False),), ["default/shop has not acknowledged"]),
        ((proxy("shop", in_sync=False, types=REFUSED),), ["default/shop refused the newest RDS"]),
        ((proxy("thief", connected=False),), []),
    ],
)
def test_a_proxy_that_does_not_act_by_the_model_yet_is_named(
    proxies: tuple[ProxyView, ...], texts: list[str]
) -> None:
    answer = ask(Question("buyer", "shop", "GET", "/buy"))
    assert answer.workloads == ("default/buyer", "default/shop")
    found = with_state(answer, proxies, ()).steps[len(answer.steps) :]
    assert [step.text.startswith(text) for step, text in zip(found, texts, strict=True)] == [
        True for _ in texts
    ]


def test_what_is_found_about_a_pod_on_the_way_is_told() -> None:
    answer = ask(Question("buyer", "shop", "GET", "/buy"))
    assert with_state(answer, (), (GUARDED,)).steps[-1].text == (
        "Pod default/buyer: it asks a lot [OSM905]"
    )
    other = ask(Question("thief", "shop", "GET", "/buy"))
    assert with_state(other, (), (GUARDED,)) == other
