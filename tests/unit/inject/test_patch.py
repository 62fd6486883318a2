"""A patch leads from one document to the other, and is no longer than it must be."""

import copy
import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.inject.patch import Operation, difference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("a/~0", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("an/~0", max_size=2), inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"name": st.sampled_from("abcd"), "x": inner}), max_size=4)
    ),
    max_leaves=20,
)


def applied(document: object, patch: Sequence[Operation]) -> object:
    """RFC 6902, as far as `difference` uses it; as strict as an API server."""
    document = json.loads(json.dumps(document))  # not by `copy`: it would keep what is shared
    for step in patch:
        document = _applied(document, step)
    return document


def _applied(document: object, step: Operation) -> object:
    *way, last = [
        part.replace("~1", "/").replace("~0", "~") for part in step.path.split("/")[1:]
    ] or [""]
    if not step.path:
        assert step.op == "replace"
        return step.value
    place = document
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]  # type: ignore[index]
    if isinstance(place, list):
        assert str(int(last)) == last
        assert 0 <= int(last) < len(place) + (step.op == "add")
        if step.op == "add":
            place.insert(int(last), copy.deepcopy(step.value))
        else:
            _change(place, int(last), step)
    else:
        assert isinstance(place, dict)
        assert (last in place) == (step.op != "add")
        _change(place, last, step)
    return document


def _change(place: object, key: str | int, step: Operation) -> None:
    if step.op == "remove":
        del place[key]  # type: ignore[attr-defined]
    else:
        place[key] = copy.deepcopy(step.value)  # type: ignore[index]


def as_text(document: object) -> str:
    """Equal texts are equal documents; in Python, true is 1."""
    return json.dumps(document, sort_keys=True)


@given(JSON, JSON)
def test_a_patch_makes_the_second_document_of_the_first(before: object, after: object) -> None:
    assert as_text(applied(before, difference(before, after))) == as_text(after)


@given(JSON)
def test_nothing_leads_from_a_document_to_itself(document: object) -> None:
    assert difference(document, copy.deepcopy(document)) == ()


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ({"a": 1}, {"a": 2}, [("replace", "/a", 2)]),
        ({"a": 1}, {"a": True}, [("replace", "/a", True)]),
        ({}, {"a/b~c": {}}, [("add", "/a~1b~0c", {})]),
        ({"a": None}, {}, [("remove", "/a")]),
        ([1, 2, 3], [1, 3], [("remove", "/1")]),
        ([1], [0, 1, 2], [("add", "/0", 0), ("add", "/2", 2)]),
        (
            [{"name": "app", "port": 1}],
            [{"name": "envoy"}, {"name": "app", "port": 2}],
            [("add", "/0", {"name": "envoy"}), ("replace", "/1/port", 2)],
        ),
        ({"a": []}, {"a": {}}, [("replace", "/a", {})]),
    ],
)
def test_only_what_differs_is_in_it(
    before: object, after: object, steps: list[tuple[object]]
) -> None:
    found = [_plain(step) for step in difference(before, after)]
    fields = ("op", "path", "value")
    assert found == [dict(zip(fields, step, strict=False)) for step in steps]


def _plain(step: Operation) -> object:
    """As the API server reads it."""
    return json.loads(msgspec.json.encode(step))


def test_a_value_of_null_is_written() -> None:
    assert _plain(Operation("add", "/a", None)) == {
        "op": "add",
        "path": "/a",
        "value": None,
    }
