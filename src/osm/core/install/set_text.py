r"""`--set a.b=c,d[0]=e` as Helm reads it (`helm help install`, "The Format and Limitations of --set").

A text is a list of `name=value`, separated by commas. A name is keys, separated by dots, with indexes of
lists; `{a,b}` is a list; `\\` takes its meaning from the sign that follows. `null` takes a value away.
Whole numbers, `true` and `false` are what they look like, and anything else is text; with `strings`,
everything is. Two things differ: `{}` is an empty list (Helm's has one empty text), and an empty name is
refused (Helm ignores it, and the value).
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from osm.errors import UsageError

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_LONGEST_LIST = 65536
_WORDS = {"true": True, "false": False, "null": None}

Key = str | int


class _Cursor(msgspec.Struct):
    text: str
    at: int = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        sign = self.peek()
        self.at += 1
        return sign

    def until(self, stops: str) -> str:
        """The text up to one of these signs that is not escaped, or to the end."""
        found: list[str] = []
        while self.peek() and self.peek() not in stops:
            sign = self.take()
            found.append(self.take() if sign == "\\" else sign)
        return "".join(found)


def with_set(tree: Mapping[str, object], text: str, *, strings: bool = False) -> dict[str, object]:
    """The tree with what the text sets. Raises `UsageError` for a text that says nothing."""
    result: object = _copied(tree)
    for path, value in _assignments(text, strings=strings):
        result = _put(result, path, value, text)
    assert isinstance(result, dict)
    return result


def _assignments(text: str, *, strings: bool) -> Iterator[tuple[tuple[Key, ...], object]]:
    cursor = _Cursor(text)
    while cursor.peek():
        path = _path(cursor)
        if cursor.take() != "=":
            raise _unreadable(text, f"after {_written(path)} there is no value")
        yield path, _value(cursor, strings=strings)
        if cursor.peek() == ",":
            cursor.take()


def _path(cursor: _Cursor) -> tuple[Key, ...]:
    path: list[Key] = []
    while True:
        key = cursor.until(".[=,")
        if not key:
            raise _unreadable(cursor.text, "a name is empty")
        path.append(key)
        while cursor.peek() == "[":
            path.append(_index(cursor))
        if cursor.peek() != ".":
            return tuple(path)
        cursor.take()


def _index(cursor: _Cursor) -> int:
    cursor.take()
    digits = cursor.until("]")
    if cursor.take() != "]" or not digits.isascii() or not digits.isdecimal():
        raise _unreadable(cursor.text, f"[{digits}] is no index")
    if int(digits) > _LONGEST_LIST:
        raise _unreadable(cursor.text, f"the index {digits} is above {_LONGEST_LIST}")
    return int(digits)


def _value(cursor: _Cursor, *, strings: bool) -> object:
    if cursor.peek() == "{":
        cursor.take()
        return _items(cursor, strings=strings)
    text = cursor.until(",")
    return text if strings else _typed(text)


def _items(cursor: _Cursor, *, strings: bool) -> list[object]:
    items: list[object] = []
    while True:
        text = cursor.until(",}")
        if not cursor.peek():
            raise _unreadable(cursor.text, "a list has no }")
        ends = cursor.take() == "}"
        if text or items or not ends:
            items.append(text if strings else _typed(text))
        if ends:
            if cursor.peek() not in ("", ","):
                raise _unreadable(cursor.text, "after } there is no comma")
            return items


def _typed(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return text


def _put(node: object, path: tuple[Key, ...], value: object, text: str) -> object:
    """The node with the value in its place; what is missing on the way is made."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, str):
        if node is not None and not isinstance(node, dict):
            raise _unreadable(text, f"{key} is to be part of what is no mapping")
        here: dict[str, object] = node if isinstance(node, dict) else {}
        here[key] = _put(here.get(key) if rest else None, rest, value, text)
        return here
    if node is not None and not isinstance(node, list):
        raise _unreadable(text, f"[{key}] is to be part of what is no list")
    items: list[object] = node if isinstance(node, list) else []
    items.extend([None] * (key + 1 - len(items)))
    inner = items[key] if rest else None
    if rest and isinstance(rest[0], str) and not isinstance(inner, dict):
        inner = None  # an item that is no mapping gives way, as with Helm
    items[key] = _put(inner, rest, value, text)
    return items


def _copied(node: object) -> object:
    if isinstance(node, Mapping):
        return {str(name): _copied(member) for name, member in node.items()}
    if isinstance(node, list | tuple):
        return [_copied(member) for member in node]
    return node


def _written(path: tuple[Key, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _unreadable(text: str, why: str) -> UsageError:
    return UsageError(
        f"--set {text} cannot be read: {why}",
        hint="Write NAME=VALUE, as in osm.image.tag=2.0.0,osm.enableEgress=false; a comma or a dot that "
        "belongs to a name or a value needs a backslash.",
    )
