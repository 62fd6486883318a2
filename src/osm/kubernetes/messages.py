"""What an API server says in lists and watches (Kubernetes API concepts)."""

import re
from typing import TypeVar

import msgspec

Message = TypeVar("Message")
DEEPEST = 64
"""Nothing of ours is nested half as deep; API servers take 10,000 levels where a schema lets them."""
_MARKS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What tells one form of an object from another."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] = {}


class Object(msgspec.Struct, frozen=True):
    """An object, as far as it is read here; or the status that stands in its place."""

    metadata: Metadata = Metadata()
    code: int = 0
    reason: str = ""
    message: str = ""


class Event(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """Where a list stands, and where it goes on."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, frozen=True):
    """A part of a list."""

    metadata: ListMetadata
    items: list[msgspec.Raw] = []


def decoded(text: bytes, type: type[Message]) -> Message:  # noqa: A002 - as msgspec calls it
    """JSON as this type. What is nested so deep that nobody could decode it is null.

    Raises `msgspec.MsgspecError`.
    """
    try:
        return msgspec.json.decode(text, type=type)
    except RecursionError:
        return msgspec.json.decode(shallow(text), type=type)


def shallow(text: bytes) -> bytes:
    """JSON with null in place of each list or object that is deeper than `DEEPEST`."""
    kept: list[bytes] = []
    depth = done = 0
    for mark in _MARKS.finditer(text):
        match mark[0]:
            case b"[" | b"{":
                depth += 1
                if depth == DEEPEST + 1:
                    kept += (text[done : mark.start()], b"null")
            case b"]" | b"}":
                if depth == DEEPEST + 1:
                    done = mark.end()
                depth -= 1
    return b"".join((*kept, text[done:]))
