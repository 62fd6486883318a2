"""Compares a value with a struct type, and finds every difference and not only the first.

`msgspec.convert` stops at the first mistake; people who write YAML want all of them, each with its
place and the nearest right spelling. What passes here converts.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from msgspec import inspect

from osm.core.api import codes
from osm.core.api.problem import Path, Problem
from osm.core.model.origin import Severity

Written = Callable[[Path], str]
"""The text that stands at a path in the file, or nothing when there is no file."""

ALWAYS_KNOWN = ("apiVersion", "kind", "metadata", "status")
_NAMES: tuple[tuple[type[inspect.Type], str], ...] = (
    (inspect.StrType, "text"),
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.BoolType, "true or false"),
    (inspect.VarTupleType, "a list"),
    (inspect.DictType, "a mapping"),
    (inspect.StructType, "a mapping"),
)


@cache
def _type_information(type_: type) -> inspect.Type:
    return inspect.type_info(type_)


def shape_problems(
    value: Mapping[str, object], type_: type, *, written: Written
) -> Iterator[Problem]:
    """Find what keeps a value from being a `type_`, and fields that it does not have."""
    return _problems(value, _type_information(type_), (), written)


def _problems(
    value: object, expected: inspect.Type, path: Path, written: Written
) -> Iterator[Problem]:
    if isinstance(expected, inspect.Metadata):
        found = list(_problems(value, expected.type, path, written))
        yield from found
        check = (expected.extra or {}).get("check")
        if check is not None and not any(p.severity is Severity.ERROR for p in found):
            complaint = check(value)
            if complaint is not None:
                yield complaint.at(path)
        return
    fitting = next((t for t in alternatives(expected) if fits(value, t)), None)
    if fitting is None:
        yield _wrong_type(value, expected, path, written)
    elif isinstance(fitting, inspect.StructType) and isinstance(value, Mapping):
        yield from _struct_problems(value, fitting, path, written)
    elif isinstance(fitting, inspect.DictType) and isinstance(value, Mapping):
        for name, member in value.items():
            yield from _problems(member, fitting.value_type, (*path, name), written)
    elif isinstance(fitting, inspect.VarTupleType) and isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from _problems(member, fitting.item_type, (*path, index), written)


def alternatives(expected: inspect.Type) -> tuple[inspect.Type, ...]:
    """The types that a value may be of. Nothing at all counts as absent."""
    if isinstance(expected, inspect.Metadata):
        return alternatives(expected.type)
    if isinstance(expected, inspect.UnionType):
        return tuple(t for t in expected.types if not isinstance(t, inspect.NoneType))
    return (expected,)


def fits(value: object, expected: inspect.Type) -> bool:
    """Whether a value is of a type from outside, whatever it holds."""
    match expected:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, float)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.VarTupleType():
            return isinstance(value, list | tuple)
        case inspect.DictType() | inspect.StructType():
            return isinstance(value, Mapping)
    return True


def _struct_problems(
    value: Mapping[str, object], struct: inspect.StructType, path: Path, written: Written
) -> Iterator[Problem]:
    known = {field.encode_name: field for field in struct.fields}
    unknown = [name for name in value if name not in known and (path or name not in ALWAYS_KNOWN)]
    for name, field in known.items():
        if name in value:
            yield from _problems(value[name], field.type, (*path, name), written)
        elif field.required:
            nearest = difflib.get_close_matches(name, unknown, 1, 0.7)
            if nearest:
                unknown.remove(nearest[0])
            yield Problem(
                (*path, nearest[0] if nearest else name),
                codes.MISSING,
                f"`{name}` is missing" + (f", and `{nearest[0]}` is no field" if nearest else ""),
                f"Did you mean `{name}`?"
                if nearest
                else f"Add `{name}:` with {_name(field.type)}.",
            )
    policy = getattr(struct.cls, "unknown_fields", "warn")
    if policy == "ignore":
        return
    for name in unknown:
        nearest = difflib.get_close_matches(name, known, 1, 0.6)
        yield Problem(
            (*path, name),
            codes.UNKNOWN_FIELD,
            f"`{name}` is no field here"
            + (
                "; to pass over it would widen access"
                if policy == "refuse"
                else ", and has no effect"
            ),
            f"Did you mean `{nearest[0]}`?"
            if nearest
            else f"Fields are: {', '.join(sorted(known))}.",
            Severity.ERROR if policy == "refuse" else Severity.WARNING,
        )


def _wrong_type(value: object, expected: inspect.Type, path: Path, written: Written) -> Problem:
    name = str(path[-1]) if path and isinstance(path[-1], str) else "this"
    wants_text = any(isinstance(t, inspect.StrType) for t in alternatives(expected))
    if wants_text and isinstance(value, bool | int | float):
        text = written(path) or (str(value).lower() if isinstance(value, bool) else str(value))
        what = (
            f"the boolean {str(value).lower()}"
            if isinstance(value, bool)
            else f"the number {value}"
        )
        return Problem(
            path,
            codes.NOT_QUOTED,
            f"`{name}` must be {_name(expected)}, and YAML reads {text} as {what}",
            f'Put it in quotes: "{text}".',
        )
    hint = ""
    if isinstance(value, str) and value.strip('"').isdecimal() and "number" in _name(expected):
        hint = f"Leave the quotes out: {value}."
    elif _name(expected) == "a list" and not isinstance(value, Mapping):
        hint = "Begin each item with a dash."
    elif _name(expected) == "a list":
        hint = "Put a dash before each item; this is one mapping without a dash."
    elif isinstance(value, str) and _name(expected) == "a mapping":
        hint = "Is there a space after the colon, and are the lines below indented?"
    elif wants_text and isinstance(value, str) is False and isinstance(value, Mapping):
        hint = "Text that holds `: ` needs quotes."
    return Problem(
        path, codes.WRONG_TYPE, f"`{name}` must be {_name(expected)}, not {_describe(value)}", hint
    )


def _name(expected: inspect.Type) -> str:
    names = dict.fromkeys(
        next((name for type_, name in _NAMES if isinstance(option, type_)), "something else")
        for option in alternatives(expected)
    )
    return " or ".join(names)


def _describe(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:40]!r}" + ("…" if len(value) > 40 else "")
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
    return f"a {type(value).__name__}"
