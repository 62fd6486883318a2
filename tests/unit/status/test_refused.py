"""What proxies refuse: the same however it is put together, and never more than there is room for."""

from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.model.origin import Finding, Origin, Severity
from osm.core.status.refused import (
    TOLD_BYTES,
    TOLD_MESSAGE,
    TOLD_OBJECTS,
    RefusedObject,
    Told,
    decoded,
    encoded,
    findings_of_all,
    merged,
    refused_findings,
    refused_objects,
)

NOW = "2026-01-01T00:00:00.000000Z"
CART = Origin("TrafficSplit", "shop", "cart", "spec.backends", "split.smi-spec.io")
LEFT_OUT = "proxies of the replica osm-controller-2 refuse more objects than it can tell the one that writes"
TILL = Origin("HTTPRouteGroup", "shop", "till", "", "specs.smi-spec.io")

Refusals = list[tuple[str, str, tuple[Origin, ...]]]
origins = st.builds(Origin, st.sampled_from("ABC"), st.sampled_from("ab"), st.sampled_from("xy"))
refusals = st.lists(
    st.tuples(
        st.integers(0, 30).map(lambda n: f"shop/p-{n}"),
        st.sampled_from(["too long", "unknown field"]),
        st.lists(origins, max_size=3).map(tuple),
    ),
    max_size=30,
)
hard = st.text(max_size=2000)
many = st.lists(
    st.builds(RefusedObject, st.builds(Origin, hard, hard, hard), hard, hard), max_size=40
)


def texts(found: tuple[Finding, ...]) -> list[str]:
    return [f"{each.origin}: {each.message}" for each in found]


def test_an_object_is_told_once_with_one_of_its_proxies_and_how_many_they_are() -> None:
    found = refused_objects(
        [
            ("shop/b", "no such thing", (CART,)),
            ("shop/a", "too long", (CART, TILL)),
            ("shop/a", "bad", (TILL,)),  # of another resource
        ]
    )
    assert found == (
        RefusedObject(TILL, "shop/a", "bad", 1),
        RefusedObject(CART, "shop/a", "too long", 2),
    )


@pytest.mark.parametrize(
    ("proxies", "who"),
    [
        (1, "proxy shop/a refused"),
        (2, "proxy shop/a and another refused"),
        (3, "proxy shop/a and at least 2 others refused"),
        (5, "proxy shop/a and at least 2 others refused"),
        (6, "proxy shop/a and at least 5 others refused"),
        (5000, "proxy shop/a and at least 1000 others refused"),
    ],
)
def test_how_many_is_told_in_steps(proxies: int, who: str) -> None:
    (found,) = refused_findings([RefusedObject(CART, "shop/a", "too long", proxies)])
    assert found.message == f"{who} what this says: too long"
    assert (found.code, found.severity, found.origin) == ("OSM902", Severity.ERROR, CART)


def test_a_finding_changes_seldom_while_thousands_of_proxies_come() -> None:
    said = [
        refused_findings([RefusedObject(CART, "shop/a", "too long", n)]) for n in range(1, 5000)
    ]
    assert sum(one != next_ for one, next_ in pairwise(said)) == 10


@given(st.lists(refusals, min_size=1, max_size=4))
def test_replicas_together_say_what_one_would(parts: list[Refusals]) -> None:
    """When each proxy is connected to one of them."""
    named = [
        [(f"{proxy}.{n}", message, where) for proxy, message, where in part]
        for n, part in enumerate(parts)
    ]
    one = refused_objects(each for part in named for each in part)
    together = merged(refused_objects(part) for part in reversed(named))
    assert together == one


@given(refusals, st.randoms())
def test_the_order_does_not_matter(found: Refusals, rng: Random) -> None:
    shuffled = sorted(found, key=lambda _: rng.random())
    assert refused_objects(shuffled) == refused_objects(found)


@given(many)
def test_what_is_told_finds_room_and_says_what_did_not(refused: list[RefusedObject]) -> None:
    text = encoded(refused, NOW)
    assert len(text.encode()) <= TOLD_BYTES
    told = decoded(text)
    assert len(told.refused) + told.left_out == len(refused)
    assert len(told.refused) <= TOLD_OBJECTS
    short = {(each.origin, each.proxy) for each in refused}
    assert {(each.origin, each.proxy) for each in told.refused} <= short
    assert all(len(each.message) <= TOLD_MESSAGE for each in told.refused)
    assert (told.left_out == 0) == (len(told.refused) == len(refused))


def test_what_has_room_is_told_whole() -> None:
    refused = tuple(
        RefusedObject(Origin("Service", "shop", f"s-{n:03}"), "shop/a", "too long", n)
        for n in range(TOLD_OBJECTS)
    )
    assert decoded(encoded(refused, NOW)) == Told(refused, 0, NOW)
    more = (*refused, RefusedObject(CART, "shop/a", "too long"))
    assert decoded(encoded(more, NOW)) == Told(refused, 1, NOW)


@pytest.mark.parametrize("text", ["", "null", "[]", '{"refused": 3}', '{"refused": [{}]}', "{"])
def test_what_cannot_be_read_counts_as_left_out(text: str) -> None:
    assert decoded(text) == Told(left_out=1)


def test_fields_of_a_later_version_are_passed_over() -> None:
    told = msgspec.json.decode(encoded([RefusedObject(CART, "shop/a", "bad")], NOW))
    told["refused"][0]["since"] = NOW
    assert decoded(msgspec.json.encode(told).decode()).refused == (
        RefusedObject(CART, "shop/a", "bad"),
    )


def test_what_all_refuse_takes_the_place_of_what_ones_own_do() -> None:
    own = [RefusedObject(CART, "shop/b", "bad")]
    other = Finding("OSM133", Severity.ERROR, CART, "all weights are 0")
    found = findings_of_all(
        [other, *refused_findings(own)],
        own,
        {
            "osm-controller-2": Told((RefusedObject(CART, "shop/a", "bad"),), left_out=2),
            "osm-controller-3": Told((RefusedObject(TILL, "shop/c", "long"),)),
        },
    )
    assert texts(found) == [
        "TrafficSplit shop/cart spec.backends: all weights are 0",
        "HTTPRouteGroup shop/till: proxy shop/c refused what this says: long",
        "TrafficSplit shop/cart spec.backends: proxy shop/a and another refused what this says: bad",
        f"None: {LEFT_OUT}",
    ]


def test_without_others_it_says_what_it_said() -> None:
    own = [RefusedObject(CART, "shop/b", "bad")]
    assert findings_of_all(refused_findings(own), own, {}) == refused_findings(own)
