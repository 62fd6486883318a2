"""Whether an object still says what we wrote."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.kubernetes.part_of import is_part_of

HOOK = {"name": "a", "failurePolicy": "Fail"}


@pytest.mark.parametrize(
    ("wanted", "present", "holds"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": {"b": "x"}}, {"a": {"b": "x", "default": True}}, True),
        ({"a": {"b": "x"}}, {"a": "x"}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": []}, {"a": ["x"]}, False),
        ({"a": []}, {}, False),
        ({"a": [{"port": 80}]}, {"a": [{"port": 80, "protocol": "TCP"}]}, True),
        ({"hooks": [HOOK]}, {"hooks": [{"name": "theirs"}, HOOK | {"more": 1}]}, True),
        ({"hooks": [HOOK]}, {"hooks": [HOOK | {"failurePolicy": "Ignore"}]}, False),
        ({"hooks": [HOOK]}, {"hooks": [{"name": "b", "failurePolicy": "Fail"}]}, False),
        ({"hooks": [HOOK]}, {"hooks": None}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": False}, {"a": 0}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a": 1}, None, False),
    ],
)
def test_what_is_part_of_what(wanted: Any, present: Any, *, holds: bool) -> None:
    assert is_part_of(wanted, present) is holds


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(DOCUMENTS)
def test_everything_is_part_of_itself(document: Any) -> None:
    assert is_part_of(document, document)


@given(st.dictionaries(st.text(max_size=4), DOCUMENTS, min_size=1), st.data())
def test_nothing_is_part_of_what_lacks_a_field_of_it(
    document: dict[str, Any], data: st.DataObject
) -> None:
    lost = data.draw(st.sampled_from(sorted(document)))
    assert not is_part_of(document, {k: v for k, v in document.items() if k != lost})
