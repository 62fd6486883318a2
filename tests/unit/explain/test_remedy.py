"""What `osm explain` prints to apply makes the same question allowed, and takes nothing away."""

from collections.abc import Iterator, Sequence
from itertools import product

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.compile.meshes import meshes

from osm.core.explain.access import Asked, access_steps, is_allowed_by
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.explain.objects import LONGEST, METHODS
from osm.core.explain.reading import read_request
from osm.core.explain.remedy import remedy_for
from osm.core.model.mesh import Model
from osm.core.model.request import Request
from osm.testing.builders import (
    Document,
    Part,
    http_group,
    identity,
    manifests,
    model,
    pod,
    port_name,
    service,
    split,
    target,
    tcp_route,
)

SHOP: tuple[Part, ...] = (
    pod("buyer"),
    pod("thief", ip="10.0.0.2"),
    pod("stranger", namespace="far", ip="10.0.0.4"),
    pod("shop", ip="10.0.0.3"),
    service("shop", {"port": 80, "name": "http"}, {"port": 5432, "name": "tcp-db"}),
)
GROUP = http_group("g", {"name": "buy", "pathRegex": "/buy.*", "methods": ["GET"]})
PATHS = st.text("/ab.%2e(){}|^$*+?[]\\;'\"é ", max_size=15).map(lambda text: "/" + text)


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    objects=meshes(),
    data=st.data(),
    method=st.sampled_from(("", "GET", "POST", "PURGE")),
    path=PATHS | st.sampled_from(("/x", "/x/y", "/" + "long." * 400)),
)
def test_applying_a_remedy_makes_the_same_question_allowed(
    objects: Sequence[Document], data: st.DataObject, method: str, path: str
) -> None:
    *objects, _mesh_config = objects
    found = model(*objects)
    namespace, workload = data.draw(st.sampled_from(sorted(found.workloads)))
    to = data.draw(st.sampled_from(sorted(found.services)))
    question = Question(f"{namespace}/{workload}", f"{to.service.fqdn}:{to.port}", method, path)
    before = explain(found, question)
    assume(before.verdict in ("denied", "partly denied"))
    old = manifests(*objects)
    new = manifests(before.remedy)
    assert {m.key for m in new}.isdisjoint(m.key for m in old), "it would replace something"
    after = explain(model(*old, *new), question)
    assert after.verdict in ("allowed", "no endpoints"), before.remedy
    assert all(step.outcome != "denied" for step in after.steps)
    wanted = found.workloads[namespace, workload].identity
    read = read_request(question)
    request = read if found.services[to].protocol.is_http and isinstance(read, Request) else None
    for opened in _opened(found, model(*old, *new), request):
        assert opened.source == wanted, opened
        assert f"access to {opened.destination.short}" in {
            step.title for step in before.steps if step.outcome == "denied"
        }, opened
        assert _was_asked(opened, request) or _is_like_before(found, opened), opened


def _opened(before: Model, after: Model, request: Request | None) -> Iterator[Asked]:
    """Everything of a good many that the workloads take now, and did not take before."""
    own = [request] if request else []
    others = [
        Request(method, path, "a") for method in ("GET", "POST") for path in ("/x", "/x/y", "/z")
    ]
    ports = {port.target_port for port in after.services.values()}
    for source, destination, port, sent in product(
        sorted(after.workloads_of), sorted(after.workloads_of), sorted(ports), [None, *own, *others]
    ):
        one = Asked(source, destination, port, sent)
        outcomes = [access_steps(found, one)[0].outcome for found in (before, after)]
        if outcomes == ["denied", "ok"]:
            yield one


def _was_asked(opened: Asked, request: Request | None) -> bool:
    """The same request or, where regexes cannot say more, one that cannot be told from it."""
    if opened.request is None or request is None:
        return opened.request is request
    same_method = opened.request.method == request.method or request.method not in METHODS
    return same_method and (opened.request.path == request.path or len(request.path) > LONGEST)


def _is_like_before(before: Model, opened: Asked) -> bool:
    """Others were let in by the same match already: it was used again."""
    return any(
        is_allowed_by(rule, msgspec.structs.replace(opened, source=rule.sources[0]))
        for rule in before.access.get(opened.destination, ())
    )


@pytest.mark.parametrize(
    ("question", "parts", "kinds"),
    [
        pytest.param(
            Question("thief", "shop:80", "GET", "/buy"),
            [GROUP, target("t", "shop", ["buyer"], "HTTPRouteGroup/g/buy")],
            ["TrafficTarget"],
            id="an existing match that fits is used again",
        ),
        pytest.param(
            Question("thief", "shop:80", "GET", "/other"),
            [GROUP, target("t", "shop", ["buyer"], "HTTPRouteGroup/g/buy")],
            ["HTTPRouteGroup", "TrafficTarget"],
            id="otherwise one for exactly this request is made",
        ),
        pytest.param(
            Question("thief", "shop:5432"),
            [],
            ["TCPRoute", "TrafficTarget"],
            id="TCP for exactly this port",
        ),
        pytest.param(
            Question("thief", "shop:5432"),
            [tcp_route("r"), target("t", "shop", ["buyer"], "TCPRoute/r")],
            ["TrafficTarget"],
            id="an existing TCPRoute is used again",
        ),
    ],
)
def test_a_remedy_is_as_small_as_it_can_be(
    question: Question, parts: Sequence[Part], kinds: list[str]
) -> None:
    answer = explain(model(*SHOP, *parts), question)
    assert [m.key.kind for m in manifests(answer.remedy)] == kinds


def test_a_remedy_allows_the_request_and_not_its_neighbours() -> None:
    question = Question("thief", "shop:80", "GET", "/a.b")
    fixed = model(*SHOP, *manifests(explain(model(*SHOP), question).remedy))
    for method, path, source, allowed in (
        ("GET", "/a.b", "thief", True),
        ("GET", "/aXb", "thief", False),
        ("GET", "/a.b/c", "thief", False),
        ("POST", "/a.b", "thief", False),
        ("GET", "/a.b", "buyer", False),
    ):
        assert explain(fixed, Question(source, "shop:80", method, path)).allowed == allowed


def test_a_remedy_replaces_no_object_that_has_the_name_it_would_like() -> None:
    parts = [GROUP, target("thief-to-shop", "shop", ["thief"], "HTTPRouteGroup/g/buy")]
    found = model(*SHOP, *parts)
    answer = explain(found, Question("thief", "shop:80", "GET", "/other"))
    names = [m.key.name for m in manifests(answer.remedy)]
    assert names == ["thief-to-shop-2", "thief-to-shop-2"]
    fixed = model(*SHOP, *parts, *manifests(answer.remedy))
    for path in ("/buy", "/other"):
        assert explain(fixed, Question("thief", "shop:80", "GET", path)).allowed


def test_a_source_of_another_namespace_is_named_with_it() -> None:
    answer = explain(model(*SHOP), Question("far/stranger", "shop.default:80", "GET", "/"))
    (_, found) = manifests(answer.remedy)
    assert found.key.name == "far-stranger-to-shop"
    assert "namespace: far" in answer.remedy


def test_two_backends_of_a_split_need_two_targets_and_two_ports_of_one_only_one() -> None:
    parts = (
        *SHOP,
        pod("other", ip="10.0.0.5"),
        service("other", {"port": 80, "name": "http", "targetPort": 81}, ip="10.1.0.2"),
        service("shop2", {"port": 80, "name": "http", "targetPort": 82}, app="shop", ip="10.1.0.3"),
        split("s", "shop", {"shop": 1, "other": 1, "shop2": 1}),
    )
    answer = explain(model(*parts), Question("thief", "shop:80", "GET", "/"))
    kinds = [(m.key.kind, m.key.name) for m in manifests(answer.remedy)]
    assert kinds == [
        ("HTTPRouteGroup", "thief-to-other"),
        ("TrafficTarget", "thief-to-other"),
        ("HTTPRouteGroup", "thief-to-shop"),
        ("TrafficTarget", "thief-to-shop"),
    ]
    assert explain(model(*parts, answer.remedy), Question("thief", "shop:80", "GET", "/")).allowed


def test_two_tcp_ports_of_one_destination_are_both_opened() -> None:
    found = model(*SHOP, service("more", {"port": 90, "name": "tcp-x"}, app="shop", ip="10.1.0.9"))
    ports = [found.services[port_name(name)] for name in ("shop:5432", "more:90")]
    text = remedy_for(found, identity("thief"), [(identity("shop"), port) for port in ports], None)
    made = model(*SHOP, text)
    assert sorted(r.ports for r in made.access[identity("shop")]) == [(90,), (5432,)]


def test_a_match_is_named_even_if_its_name_has_brackets() -> None:
    group = http_group("g", {"name": "buy (new)", "pathRegex": "/buy"})
    parts = (*SHOP, group, target("t", "shop", ["buyer"], {"kind": "HTTPRouteGroup", "name": "g"}))
    found = model(*parts)
    text = remedy_for(
        found,
        identity("thief"),
        [(identity("shop"), found.services[port_name("shop:80")])],
        Request("GET", "/buy", "shop"),
    )
    assert "- buy (new)" in text
    assert explain(model(*parts, text), Question("thief", "shop:80", "GET", "/buy")).allowed
