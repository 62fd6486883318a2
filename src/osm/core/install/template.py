"""Objects with places for values: what `osm install` fills, and what the Helm chart is written from.

A node is what JSON can hold, with expressions in it. There are few of them, and each means the same
in Python (`filled`) and in Helm's templates (`go_template`), so that both make the same objects. What is
false for one is false for the other: false, 0, and what is empty.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from osm.core.api.registry import Document


class Value(msgspec.Struct, frozen=True):
    """A value by its name, such as `osm.image.tag`."""

    path: str


class Given(msgspec.Struct, frozen=True):
    """What no value says: `mesh`, `namespace` (of the control plane), `version` (of `osm`)."""

    name: str


class Text(msgspec.Struct, frozen=True):
    """Texts and expressions, one after another."""

    parts: tuple["str | Value | Given | Default", ...]


class Default(msgspec.Struct, frozen=True):
    """The first, or the second if that is false."""

    first: "Value | Given"
    second: "str | Value | Given | Text"


class Joined(msgspec.Struct, frozen=True):
    """Lists, one after another."""

    lists: tuple[Value, ...]


class Not(msgspec.Struct, frozen=True):
    """The opposite of a value."""

    value: Value


class If(msgspec.Struct, frozen=True):
    """Under a key, or in a list: a node that is there while the condition holds; else there is nothing."""

    condition: "Value | Joined | Not"
    then: "Node"


class Others(msgspec.Struct, frozen=True):
    """Under the key `OTHERS`: the entries of a value that the mapping does not have itself."""

    value: Value


Expression = Value | Given | Text | Default | Joined
Node = Any
"""JSON with expressions in it."""
OTHERS = "…"
MESH = Given("mesh")
NAMESPACE = Given("namespace")
VERSION = Given("version")


class Scope(msgspec.Struct, frozen=True):
    """What a template is filled from: `values` as a tree, and what is given."""

    values: Mapping[str, object]
    given: Mapping[str, str]


class Template(msgspec.Struct, frozen=True):
    """One object, and when it is there."""

    name: str
    """The chart's file: templates/NAME.yaml."""
    node: Mapping[str, Node]
    condition: Value | None = None


def fill(template: Template, scope: Scope) -> Document | None:
    """The object, or None when the values want none."""
    if template.condition is not None and not value_of(template.condition, scope):
        return None
    filled = _filled(template.node, scope)
    assert isinstance(filled, dict)
    return filled


def value_of(expression: Expression | Not | str, scope: Scope) -> object:
    """What an expression is."""
    match expression:
        case str():
            return expression
        case Value(path):
            return _looked_up(scope.values, path)
        case Given(name):
            return scope.given[name]
        case Text(parts):
            return "".join(as_text(value_of(part, scope)) for part in parts)
        case Default(first, second):
            return value_of(first, scope) or value_of(second, scope)
        case Joined(lists):
            return [item for each in lists for item in _list(value_of(each, scope))]
        case Not(value):
            return not value_of(value, scope)


def as_text(value: object) -> str:
    """A scalar as part of a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(node: Node, scope: Scope) -> object:
    if isinstance(node, Value | Given | Text | Default | Joined):
        return value_of(node, scope)
    if isinstance(node, Mapping):
        return dict(_entries(node, scope))
    if isinstance(node, list | tuple):
        return list(_items(node, scope))
    return node


def _items(node: Sequence[Node], scope: Scope) -> Iterator[object]:
    for item in node:
        if not isinstance(item, If):
            yield _filled(item, scope)
        elif value_of(item.condition, scope):
            yield _filled(item.then, scope)


def _entries(node: Mapping[str, Node], scope: Scope) -> Iterator[tuple[str, object]]:
    for key, member in node.items():
        if isinstance(member, Others):
            others = value_of(member.value, scope)
            assert isinstance(others, Mapping)
            yield from ((str(k), v) for k, v in sorted(others.items()) if k not in node)
            continue
        if not isinstance(member, If):
            yield key, _filled(member, scope)
        elif value_of(member.condition, scope):
            yield key, _filled(member.then, scope)


def _looked_up(values: Mapping[str, object], path: str) -> object:
    found: object = values
    for name in path.split("."):
        assert isinstance(found, Mapping)
        found = found[name]
    return found


def _list(value: object) -> Sequence[object]:
    assert isinstance(value, list | tuple)
    return value
