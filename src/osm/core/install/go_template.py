"""Templates as Helm writes them: YAML with actions of Go's text/template and sprig's functions.

A value is put in as JSON, which is YAML too and needs no quoting rules.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from osm.core.install.template import (
    Default,
    Expression,
    Given,
    If,
    Joined,
    Node,
    Not,
    Others,
    Template,
    Text,
    Value,
)

GIVEN: Mapping[str, str] = {
    "mesh": ".Values.osm.meshName",
    "namespace": "(.Values.osm.osmNamespace | default .Release.Namespace)",
    "version": ".Chart.AppVersion",
}
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
"""Text that YAML reads as text, unless it is one of these words."""
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_STEP = "  "


def go_template(template: Template) -> str:
    """The text of a chart's file."""
    lines = list(_mapping(template.node, ""))
    if template.condition is not None:
        lines = [f"{{{{- if {_go(template.condition)} }}}}", *lines, "{{- end }}"]
    return "\n".join([*lines, ""])


def _go(expression: Expression | Not | str) -> str:
    """An expression as an argument."""
    match expression:
        case str():
            return json.dumps(expression)
        case Value(path):
            return f".Values.{path}"
        case Given(name):
            return GIVEN[name]
        case Text(parts):
            form = "".join(p.replace("%", "%%") if isinstance(p, str) else "%v" for p in parts)
            arguments = (_go(part) for part in parts if not isinstance(part, str))
            return f"(printf {json.dumps(form)} {' '.join(arguments)})"
        case Default(first, second):
            return f"({_go(first)} | default {_go(second)})"
        case Joined(lists):
            return f"(concat {' '.join(map(_go, lists))})"
        case Not(value):
            return f"(not {_go(value)})"


def _action(expression: Expression) -> str:
    text = _go(expression)
    if text.startswith("(") and text.endswith(")") and _is_one_group(text):
        text = text[1:-1]
    return f"{{{{ {text} | toJson }}}}"


def _is_one_group(text: str) -> bool:
    depth = 0
    for place, sign in enumerate(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if not depth and place < len(text) - 1:
            return False
    return True


def _mapping(node: Mapping[str, Node], indent: str) -> Iterator[str]:
    for key, member in node.items():
        if isinstance(member, Others):
            yield from _others(member, [name for name in node if name != key], indent)
        elif isinstance(member, If):
            yield f"{indent}{{{{- if {_go(member.condition)} }}}}"
            yield from _member(f"{indent}{_scalar(key)}:", member.then, indent)
            yield f"{indent}{{{{- end }}}}"
        else:
            yield from _member(f"{indent}{_scalar(key)}:", member, indent)


def _others(others: Others, own: Sequence[str], indent: str) -> Iterator[str]:
    names = " ".join(map(json.dumps, own))
    yield f"{indent}{{{{- range $key, $value := omit ({_go(others.value)} | default dict) {names} }}}}"
    yield f"{indent}{{{{ $key | toJson }}}}: {{{{ $value | toJson }}}}"
    yield f"{indent}{{{{- end }}}}"


def _member(head: str, node: Node, indent: str) -> Iterator[str]:
    if isinstance(node, Mapping) and node:
        yield head
        yield from _mapping(node, indent + _STEP)
    elif isinstance(node, list | tuple) and node:
        yield head
        for item in node:
            yield from _item(item, indent + _STEP)
    else:
        yield f"{head} {_flow(node)}"


def _item(node: Node, indent: str) -> Iterator[str]:
    """An item of a list: its lines one step in, the first with a dash before it."""
    if isinstance(node, If):
        yield f"{indent}{{{{- if {_go(node.condition)} }}}}"
        yield from _item(node.then, indent)
        yield f"{indent}{{{{- end }}}}"
    elif isinstance(node, Mapping) and node:
        first, *rest = _mapping(node, indent + _STEP)
        yield f"{indent}- {first.lstrip()}"
        yield from rest
    else:
        yield f"{indent}- {_flow(node)}"


def _flow(node: Node) -> str:
    if isinstance(node, Value | Given | Text | Default | Joined):
        return _action(node)
    return _scalar(node)


def _scalar(value: Node) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)
