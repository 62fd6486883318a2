"""`osm explain` with the engine that real meshes have: what people read, and what programs get."""

import json
from collections.abc import Callable

import msgspec
import pytest
import yaml
from tests.unit.cli.calls import Mesh, Run

from osm.core.explain.decide import explain
from osm.core.explain.denied import explain_refusal
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal
from osm.core.explain.view import DenialView
from osm.testing.builders import Part, http_group, model, pod, service, split, target
from osm.testing.mesh_api import FakeMeshApi

SHOP: tuple[Part, ...] = (
    pod("buyer-0", namespace="buyer", app="buyer"),
    pod("thief-0", namespace="thief", app="thief", ip="10.0.0.2"),
    pod("v1-0", namespace="shop", app="v1", ip="10.0.0.3"),
    pod("v2-0", namespace="shop", app="v2", ip="10.0.0.4"),
    service("shop", 80, namespace="shop", app="v1"),
    service("v1", 80, namespace="shop", ip="10.1.0.2"),
    service("v2", 80, namespace="shop", ip="10.1.0.3"),
    split("half", "shop", {"v1": 3, "v2": 1}, namespace="shop"),
    http_group("g", {"name": "buy", "pathRegex": "/buy", "methods": ["GET"]}, namespace="shop"),
    target("one", "v1", ["buyer/buyer"], "HTTPRouteGroup/g/buy", namespace="shop"),
    target("two", "v2", ["buyer/buyer"], "HTTPRouteGroup/g", namespace="shop"),
)
DENIALS = (
    DenialView("2026-11-21T17:00:01.250+00:00", "thief/thief", "shop/v1-0", 80, "GET", "/buy", "no", 7),
    DenialView("2026-11-21T17:00:00.000+00:00", "buyer/buyer", "shop/v2-0", 80, "GET", "/buy", "no"),
    DenialView("2026-11-21T16:00:00.000+00:00", "buyer/buyer", "shop/v2-0", 90, "", "", "\x1b[2J"),
)  # fmt: skip
BODY = (
    "access denied by the mesh: spiffe://cluster.local/ns/thief/sa/thief may not GET /buy of shop/v1 "
    "(rbac_access_denied_matched_policy[no-access-rule-for-source])"
)


class ShopMesh(FakeMeshApi):
    """A mesh whose answers come from a model."""

    def __init__(self) -> None:
        self.denials: tuple[DenialView, ...] = DENIALS
        super().__init__(change=lambda view: msgspec.structs.replace(view, denials=self.denials))
        self.model = model(*SHOP)

    def explain(self, question: Question) -> Explanation:
        return explain(self.model, question)

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        return explain_refusal(self.model, refusal)


@pytest.fixture
def shop(start_mesh: Callable[..., Mesh]) -> ShopMesh:
    mesh = ShopMesh()
    start_mesh(api=mesh)
    return mesh


def test_an_answer_reads_as_the_way_of_the_request(shop: ShopMesh, run: Run) -> None:
    result = run("explain", "buyer", "shop.shop", "GET", "/buy")
    assert (result.code, result.err) == (0, "")
    who, accepted = "spiffe://cluster.local/ns/buyer/sa/buyer", "spiffe://cluster.local/ns/shop/sa/"
    name = "shop.shop is shop.shop.svc.cluster.local; the cluster's DNS gives the virtual address 10.1.0.1"
    *lines, transport, _, goes_to, first, second = result.out.splitlines()
    assert lines == [
        "buyer -> shop.shop GET /buy: ALLOWED",
        "allowed, to shop/v1:80 (75 %), shop/v2:80 (25 %)",
        "",
        f"  ok      source: workload buyer/buyer-0, identity {who}",
        "          by Pod buyer/buyer-0",
        f"  ok      name: {name}",
        "          by Service shop/shop spec.clusterIP",
        "  ok      destination: service shop/shop, port 80 (http), target port 80",
        "          by Service shop/shop spec.ports",
        "  ok      route: 75 % to shop/v1:80, 25 % to shop/v2:80",
        "          by TrafficSplit shop/half spec.backends",
        "  ok      access to shop/v1: TrafficTarget shop/one, match buy, allows it",
        "          by TrafficTarget shop/one spec.rules[0]",
        "          by HTTPRouteGroup shop/g spec.matches[0] (buy)",
        "  ok      endpoints of shop/v1:80: shop/v1-0",
        "  ok      access to shop/v2: TrafficTarget shop/two, match buy, allows it",
        "          by TrafficTarget shop/two spec.rules[0]",
        "          by HTTPRouteGroup shop/g spec.matches[0] (buy)",
        "  ok      endpoints of shop/v2:80: shop/v2-0",
    ]
    assert transport == (
        f"  ok      transport: mutual TLS 1.3: buyer/buyer shows the certificate of {who}, and accepts "
        f"{accepted}v1, {accepted}v2"
    )
    assert (goes_to, first, second) == ("It goes to:", "    75%  shop/v1:80", "    25%  shop/v2:80")


def test_advice_stands_where_nobody_overlooks_it(shop: ShopMesh, run: Run) -> None:
    result = run("explain", "buyer", "shpo.shop", "GET", "/buy")
    assert result.code == 1
    assert result.out.splitlines()[:3] == [
        "buyer -> shpo.shop GET /buy: NO ROUTE",
        "there is no service port 'shpo.shop'",
        "Did you mean shop.shop:80?",
    ]
    alone = run("explain", "buyer", "shpo.shop", "GET", "/buy", "-o", "remedy")
    assert (alone.code, alone.out) == (1, "")
    assert alone.err == "No object would allow it.\n  Did you mean shop.shop:80?\n"


def test_programs_get_every_field_under_a_name_that_stays(shop: ShopMesh, run: Run) -> None:
    words = ("explain", "thief", "shop.shop:80", "GET", "/buy", "-o")
    answer = json.loads(run(*words, "json").out)
    assert list(answer) == [
        *("question", "verdict", "allowed", "summary", "steps", "backends"),
        *("remedy", "advice", "workloads"),
    ]
    assert list(answer["steps"][0]) == ["title", "outcome", "text", "origins"]
    assert list(answer["steps"][0]["origins"][0]) == ["kind", "namespace", "name", "field", "group"]
    assert answer["verdict"] == "denied"
    assert answer["workloads"] == ["thief/thief-0", "shop/v1-0", "shop/v2-0"]
    assert yaml.safe_load(run(*words, "yaml").out) == answer


def test_the_header_host_is_the_authority(shop: ShopMesh, run: Run) -> None:
    words = ("explain", "buyer", "v1.shop", "GET", "/buy", "-H", "Host: shop.shop", "-o", "json")
    assert json.loads(run(*words).out)["backends"] == [["shop/v1:80", 75.0], ["shop/v2:80", 25.0]]
    words = (
        "explain",
        "buyer",
        "shop.shop",
        "GET",
        "/buy",
        "-H",
        ":authority: v1.shop",
        "-o",
        "json",
    )
    assert json.loads(run(*words).out)["backends"] == [["shop/v1:80", 100.0]]


def test_what_was_refused_is_listed_with_numbers(shop: ShopMesh, run: Run) -> None:
    result = run("explain", "--denied")
    assert (result.code, result.err) == (0, "")
    assert (
        result.out
        == """\
#  LAST                 TIMES  SOURCE       DESTINATION   REQUEST   WHY
1  2026-11-21T17:00:01  7      thief/thief  shop/v1-0:80  GET /buy  no
2  2026-11-21T17:00:00  1      buyer/buyer  shop/v2-0:80  GET /buy  no
3  2026-11-21T16:00:00  1      buyer/buyer  shop/v2-0:90  TCP       \\x1b[2J

`osm explain --denied 1` explains the first of them.
"""
    )
    listed = json.loads(run("explain", "--denied", "-o", "json").out)
    assert [each["source"] for each in listed] == ["thief/thief", "buyer/buyer", "buyer/buyer"]


def test_nothing_refused_is_said(shop: ShopMesh, run: Run) -> None:
    shop.denials = ()
    result = run("explain", "--denied")
    assert (result.code, result.out) == (0, "Nothing was refused.\n")


def test_one_of_the_list_is_explained_by_its_number(shop: ShopMesh, run: Run) -> None:
    still = run("explain", "--denied", "1")
    assert still.code == 1
    first, second, *_ = still.out.splitlines()
    assert first == "thief/thief-0 -> v1.shop:80 GET /buy: DENIED"
    assert second == "still so: no HTTP access rule for shop/v1 names thief/thief as a source"
    assert "name: thief-thief-to-v1" in still.out
    mended = run("explain", "--denied", "2")
    assert mended.code == 0
    assert "refused then, and it would be allowed now: TrafficTarget shop/two" in mended.out


def test_the_remedy_of_a_refusal_makes_it_allowed(shop: ShopMesh, run: Run) -> None:
    remedy = run("explain", "--denied", "1", "-o", "remedy")
    assert remedy.code == 1
    shop.model = model(*SHOP, remedy.out)
    assert run("explain", "--denied", "1").code == 0


@pytest.mark.parametrize("words", [("--denied", BODY), ("--denied", "-"), ("--denied=" + BODY,)])
def test_the_body_of_an_answer_is_explained(
    shop: ShopMesh, run: Run, words: tuple[str, ...]
) -> None:
    result = run("explain", *words, stdin=f"HTTP/1.1 403\r\n\r\n{BODY}\n".encode())
    assert result.code == 1
    assert result.out.startswith("thief/thief-0 -> v1.shop:80 GET /buy: DENIED\nstill so")


def test_who_called_can_be_told_where_a_log_does_not(shop: ShopMesh, run: Run) -> None:
    entry = '{"method": "GET", "path": "/buy", "authority": "v2.shop", "response_code": 403}'
    denied = run("explain", "thief", "--denied", entry)
    assert denied.code == 1
    assert denied.out.startswith("thief/thief-0 -> v2.shop GET /buy: DENIED\n")
    assert run("explain", "buyer", "--denied", entry).code == 0


def test_headers_are_added_to_what_a_log_says(shop: ShopMesh, run: Run) -> None:
    admin = http_group("h", {"name": "a", "headers": [{"x-role": "admin"}]}, namespace="shop")
    allow = target("three", "v1", ["thief/thief"], "HTTPRouteGroup/h", namespace="shop")
    shop.model = model(*SHOP, admin, allow)
    plain = run("explain", "--denied", "1")
    assert plain.code == 1
    assert "some rules look at them: add them with -H." in plain.out
    assert run("explain", "--denied", "1", "-H", "X-Role: admin").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--denied", "4"), "There is no refusal 4.\n  There are 3. See `osm explain --denied`."),
        (("--denied", "0"), "There is no refusal 0."),
        (("--denied", "hello"), "It is no refusal of the mesh."),
        (("--denied", "x-osm-denied: because"), "gives the reason (because), and not the request."),
        (("buyer", "shop", "--denied"), "give no DESTINATION beside it"),
        (("--denied", '{"path": "/"}'), "It does not say who called."),
        (("--denied", "1", "-H", "nonsense"), "is not 'NAME: VALUE'"),
        ((), "Missing argument 'SOURCE'"),
        (("buyer",), "Missing argument 'DESTINATION[:PORT]'"),
    ],
)
def test_a_question_that_is_none_says_so_and_exits_with_2(
    shop: ShopMesh, run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("explain", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
