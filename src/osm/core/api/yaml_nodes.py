"""One YAML document to plain values, with the line of every part. Safe for text from anywhere.

Built on libyaml's events: nothing is constructed but text, numbers, booleans, lists and mappings.
"""

from collections.abc import Sequence

import msgspec
import yaml

from osm.core.api import codes
from osm.core.api.problem import Path
from osm.core.api.yaml_messages import explain_error
from osm.core.api.yaml_scalars import resolve_plain

DEEPEST = 100
MOST_ALIASED = 100_000
MOST_MISTAKES = 50
"""In the keys of one document."""
"""Nodes that aliases and merges may add to a document. Real files stay far below."""

_TEXT = "tag:yaml.org,2002:str"
_HARMLESS = {None, "!", _TEXT, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class YamlProblem(msgspec.Struct, frozen=True, gc=False):
    """What keeps a document from being read, and the line."""

    line: int
    code: str
    message: str
    hint: str = ""


class Node(msgspec.Struct):
    """A value and where it stands. `written` is the text of a scalar without quotes.

    `size` and `height` count what aliases stand for as often as they stand for it.
    """

    value: object
    line: int
    written: str = ""
    members: dict[str, "Node"] = {}
    items: list["Node"] = []
    key_lines: dict[str, int] = {}
    size: int = 1
    height: int = 1

    def line_of(self, path: Path) -> int:
        """The line of a path, or of the deepest part of it that exists."""
        node, line = self, self.line
        for part in path:
            if isinstance(part, str) and part in node.members:
                line = node.key_lines[part]
                node = node.members[part]
            elif isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                line = node.line
            else:
                break
        return line

    def at(self, path: Path) -> "Node | None":
        """The node at a path."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            if isinstance(part, str):
                node = node.members.get(part)
            else:
                node = node.items[part] if part < len(node.items) else None
        return node


class _Open(msgspec.Struct):
    """A mapping or list whose end has not come yet."""

    node: Node
    anchor: str | None
    is_mapping: bool
    key: str | None = None
    key_line: int = 0
    merge: bool = False
    merges: list[Node] = []


class _Unreadable(Exception):
    def __init__(self, line: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = YamlProblem(line, code, message, hint)


def read_document(text: str, first_line: int = 1) -> tuple[Node | None, Sequence[YamlProblem]]:
    """Read the one document in `text`. None with no problems means that it is empty."""
    reader = _Reader(first_line)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except _Unreadable as unreadable:
        return None, (*reader.problems, unreadable.problem)
    except yaml.YAMLError as error:
        line, code, message, hint = explain_error(error, text)
        return None, (*reader.problems, YamlProblem(first_line + line, code, message, hint))
    return (None if reader.problems else reader.root), reader.problems


class _Reader:
    """Builds nodes from events."""

    def __init__(self, first_line: int) -> None:
        self.root: Node | None = None
        self.problems: list[YamlProblem] = []
        self._first_line = first_line
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._check_tag(event)
                self._add(self._scalar(event), event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._add(self._alias(event), None)

    def _line(self, event: yaml.Event) -> int:
        mark = event.start_mark
        return self._first_line + (int(mark.line) if mark else 0)

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag not in _HARMLESS:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise _Unreadable(
                self._line(event),
                codes.TAG,
                f"the tag {tag} is refused: objects are made of text, numbers, lists and mappings",
                "Remove the tag; write text in quotes.",
            )

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        text = event.value
        plain = event.tag is None and event.implicit[0]
        return Node(
            resolve_plain(text) if plain else text, self._line(event), text if plain else ""
        )

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self._check_tag(event)
        line = self._line(event)
        if len(self._stack) >= DEEPEST:
            raise _Unreadable(line, codes.TOO_DEEP, f"nested more than {DEEPEST} levels deep")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._stack and self._stack[-1].is_mapping and self._expects_key():
            raise _Unreadable(
                line,
                codes.KEY_NOT_TEXT,
                "a list or mapping cannot be a key",
                "Is a `{{ placeholder }}` meant? Put it in quotes.",
            )
        if event.anchor:
            self._anchors[event.anchor] = None
        node = Node({} if is_mapping else [], line)
        self._stack.append(_Open(node, event.anchor, is_mapping))

    def _expects_key(self) -> bool:
        return self._stack[-1].key is None and not self._stack[-1].merge

    def _close(self) -> None:
        closed = self._stack.pop()
        node = closed.node
        for merged in closed.merges:
            self._merge(node, merged)
        children = node.members.values() if closed.is_mapping else node.items
        node.size = 1 + sum(child.size for child in children)
        node.height = 1 + max((child.height for child in children), default=0)
        if closed.is_mapping:
            node.value = {name: child.value for name, child in node.members.items()}
        else:
            node.value = [child.value for child in node.items]
        if node.height > DEEPEST:
            raise _Unreadable(
                node.line,
                codes.TOO_DEEP,
                f"nested more than {DEEPEST} levels deep, with its aliases",
            )
        self._add(node, closed.anchor)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name, line = event.anchor, self._line(event)
        if name not in self._anchors:
            raise _Unreadable(
                line,
                codes.ALIAS,
                f"*{name} refers to an anchor that this document does not have",
                f"Put `&{name}` before the value that is meant, or quote the text: '*{name}'.",
            )
        node = self._anchors[name]
        if node is None:
            raise _Unreadable(line, codes.ALIAS, f"*{name} stands inside of what it refers to")
        self._count(node.size, line)
        return msgspec.structs.replace(node, line=line)

    def _count(self, nodes: int, line: int) -> None:
        self._aliased += nodes
        if self._aliased > MOST_ALIASED:
            raise _Unreadable(
                line,
                codes.ALIAS,
                f"aliases make this document more than {MOST_ALIASED} values larger",
                "Write the values out.",
            )

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        if not parent.is_mapping:
            parent.node.items.append(node)
        elif parent.merge:
            parent.merge = False
            parent.merges.append(node)
        elif parent.key is None:
            self._key(parent, node)
        else:
            parent.node.members[parent.key] = node
            parent.node.key_lines[parent.key] = parent.key_line
            parent.key = None

    def _key(self, parent: _Open, node: Node) -> None:
        if node.written == "<<":
            parent.merge = True
            return
        if len(self.problems) >= MOST_MISTAKES:
            message = f"there are {MOST_MISTAKES} mistakes above; what follows is not looked at"
            raise _Unreadable(node.line, codes.TOO_LONG, message)
        key = node.value
        if not isinstance(key, str):
            what = (
                "is empty" if key is None else f"is read as {str(key).lower()}, which is not text"
            )
            self.problems.append(
                YamlProblem(
                    node.line,
                    codes.KEY_NOT_TEXT,
                    f"the key {node.written} {what}" if node.written else f"a key {what}",
                    f'Put it in quotes: "{node.written}".',
                )
            )
            key = node.written
        elif key in parent.node.members:
            first = parent.node.key_lines[key]
            self.problems.append(
                YamlProblem(
                    node.line,
                    codes.DUPLICATE_KEY,
                    f"the key {key!r} stands here twice; the first is in line {first}",
                    "Remove one of them, or put both contents under one key.",
                )
            )
        parent.key, parent.key_line = str(key), node.line

    def _merge(self, node: Node, merged: Node) -> None:
        for source in merged.items or [merged]:
            if not isinstance(source.value, dict):
                raise _Unreadable(
                    source.line, codes.ALIAS, "`<<` takes a mapping, or a list of mappings"
                )
            self._count(sum(member.size for member in source.members.values()), source.line)
            for name, member in source.members.items():
                if name not in node.members:
                    node.members[name] = member
                    node.key_lines[name] = source.key_lines[name]
