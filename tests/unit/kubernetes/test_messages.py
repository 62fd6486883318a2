"""Messages of an API server, whatever the objects in them are like."""

import json

import pytest

from osm.kubernetes.messages import DEEPEST, Event, Page, decoded, shallow


def nested(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


@pytest.mark.parametrize("depth", [500, 3000, 9000])
def test_what_is_too_deep_is_null_and_all_else_is_as_it_was(depth: int) -> None:
    spec = f'{{"deep": {nested(depth)}, "text": "]}}\\"[{{\\\\", "list": [1, {{"a": []}}]}}'
    item = f'{{"metadata": {{"name": "a"}}, "spec": {spec}}}'
    event = decoded(f'{{"type": "ADDED", "object": {item}}}'.encode(), Event)
    page = decoded(f'{{"metadata": {{}}, "items": [{item}]}}'.encode(), Page)
    for found in (event.object, *page.items):
        document = json.loads(shallow(bytes(found)))
        assert document["metadata"] == {"name": "a"}
        text, items = document["spec"]["text"], document["spec"]["list"]
        assert (text, items) == (']}"[{\\', [1, {"a": []}])
        innermost, count = document["spec"]["deep"], 0
        while innermost:
            (innermost,), count = innermost, count + 1
        assert innermost is None and 0 < count < DEEPEST


def test_what_is_not_too_deep_stays_the_same() -> None:
    text = json.dumps({"a": json.loads(nested(DEEPEST - 1)), "b": {"c": ["{", "\\"]}}).encode()
    assert shallow(text) == text
