"""The short way for the documents that most files hold: values at once, without places.

Whatever needs a closer look (mistakes, anchors, tags, keys that are no text) is left to `yaml_nodes`,
which says what is wrong and where. For every other document both read the same.
"""

import sys
from collections.abc import Callable

from yaml import (
    CollectionStartEvent,
    CSafeLoader,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    YAMLError,
)

from osm.core.api.yaml_nodes import DEEPEST
from osm.core.api.yaml_scalars import resolve_plain

_LONGEST_SHARED = 64
"""Short texts are kept once, however many objects of a mesh have them."""


class _LookCloser(Exception):
    pass


def read_plain_mapping(text: str) -> tuple[dict[str, object], int] | None:
    """The value of the one document in `text`, and its first line (from 0).

    None where it is no mapping, or `read_document` must have a look.
    """
    loader = CSafeLoader(text)
    try:
        take: Callable[[], Event | None] = loader.get_event
        take()  # the stream starts
        if type(take()) is not DocumentStartEvent:
            return None
        event = take()
        if type(event) is not MappingStartEvent or event.tag or event.anchor:
            return None
        line = event.start_mark.line if event.start_mark else 0
        value = _mapping(take, 1)
        take()  # the document ends
        return (value, line) if type(take()) is StreamEndEvent else None
    except (_LookCloser, YAMLError):
        return None
    finally:
        loader.dispose()


def _mapping(take: Callable[[], Event | None], depth: int) -> dict[str, object]:
    members: dict[str, object] = {}
    while True:
        event = take()
        if type(event) is not ScalarEvent:
            if type(event) is MappingEndEvent:
                return members
            raise _LookCloser
        key = _scalar(event)
        if type(key) is not str or key in members or key == "<<":
            raise _LookCloser
        event = take()
        members[key] = (
            _scalar(event) if type(event) is ScalarEvent else _collection(event, take, depth)
        )


def _collection(event: Event | None, take: Callable[[], Event | None], depth: int) -> object:
    if not isinstance(event, CollectionStartEvent) or depth >= DEEPEST - 1:
        raise _LookCloser  # an alias, for instance
    if event.tag is not None or event.anchor is not None:
        raise _LookCloser
    if type(event) is MappingStartEvent:
        return _mapping(take, depth + 1)
    items: list[object] = []
    while True:
        event = take()
        if type(event) is ScalarEvent:
            items.append(_scalar(event))
        elif type(event) is SequenceEndEvent:
            return items
        else:
            items.append(_collection(event, take, depth + 1))


def _scalar(event: ScalarEvent) -> object:
    if event.tag is not None or event.anchor is not None:
        raise _LookCloser
    text = event.value
    value = resolve_plain(text) if event.implicit[0] else text
    return sys.intern(value) if type(value) is str and len(value) <= _LONGEST_SHARED else value
