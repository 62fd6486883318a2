"""Structs of which exactly one field may be given: they name these fields in `exactly_one_of`."""

from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from osm.core.api import codes
from osm.core.api.problem import Path, Problem, enumerate_choices


@cache
def written_names(type_: type[msgspec.Struct]) -> Mapping[str, str]:
    """The name that each field has in YAML."""
    return {field.name: field.encode_name for field in msgspec.structs.fields(type_)}


def exclusive_fields(type_: type) -> tuple[str, ...]:
    """The fields, by their names in YAML, of which exactly one is given; mostly there are none."""
    names: tuple[str, ...] = getattr(type_, "exactly_one_of", ())
    return tuple(written_names(type_)[name] for name in names)


def exclusive_problems(value: object, path: Path = ()) -> Iterator[Problem]:
    """Find where none or several of such fields are given, however deep."""
    if isinstance(value, tuple):
        for index, member in enumerate(value):
            if isinstance(member, msgspec.Struct):
                yield from exclusive_problems(member, (*path, index))
    if not isinstance(value, msgspec.Struct):
        return
    choices = exclusive_fields(type(value))
    members = [
        (written, member)
        for name, written in written_names(type(value)).items()
        if (member := getattr(value, name)) is not None
    ]
    given = [written for written, _ in members if written in choices]
    if choices and len(given) != 1:
        yield Problem(
            path,
            codes.EXACTLY_ONE,
            f"exactly one of {enumerate_choices(choices, last='and')} must be given, and "
            + (f"here are {enumerate_choices(given, last='and')}" if given else "here is none"),
            "Keep one of them." if given else "Add one of them.",
        )
    for written, member in members:
        yield from exclusive_problems(member, (*path, written))
