"""The table of compatibility has a row for each field of the typed objects, and no other."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from osm.core.api import crd
from osm.core.api.registry import Kind

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text()
KINDS = crd.defined_kinds()
each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
MEANINGS = ("**works**: ", "checked, no effect yet: ", "no effect, by intent: ")


class Row(NamedTuple):
    field: str
    meaning: str
    test: str


def rows(kind: str) -> list[Row]:
    """The rows below a kind's heading."""
    (section,) = re.findall(rf"^## {kind}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [
        Row(*row)
        for row in re.findall(r"^\| `(.*?)` \| (.*) \| `(.*?)` \|$", section, re.MULTILINE)
    ]


def leaves(type_: Any, path: str = "") -> Iterator[str]:
    """The fields that hold values and not other fields: `spec.ports[].number`."""
    for field in msgspec.structs.fields(type_):
        if field.name == "metadata" and not path:
            continue
        inner, lists = inside(field.type)
        here = f"{path}{field.encode_name}{lists}"
        yield from list(leaves(inner, f"{here}.") if inner else ()) or [here]


def inside(type_: Any) -> tuple[Any, str]:
    """The struct that a field's type holds, if any, and `[]` for a list."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_, ""
    arguments = typing.get_args(type_)
    if typing.get_origin(type_) is typing.Annotated:
        return inside(arguments[0])
    if typing.get_origin(type_) is tuple:
        return inside(arguments[0])[0], "[]"
    if typing.get_origin(type_) is dict or "Mapping" in str(typing.get_origin(type_)):
        return None, ""
    found = [inside(each) for each in arguments]
    return next((each for each in found if each != (None, "")), (None, ""))


def told(kind: Kind) -> list[str]:
    """The fields that the rows are about; a row may say that it is as another one."""
    every = rows(kind.kind)
    fields = []
    for row in every:
        like = re.match(r"as `(.*?)`", row.meaning)
        if like is None:
            fields.append(row.field)
        else:
            members = [r.field for r in every if r.field.startswith(like[1])]
            assert members, row
            fields += [row.field + member.removeprefix(like[1]) for member in members]
    return fields


@each_kind
def test_every_field_has_exactly_one_row(kind: Kind) -> None:
    assert sorted(told(kind)) == sorted(leaves(kind.forms[-1].written_as))


@each_kind
def test_every_row_says_what_the_field_does_and_where_that_is_tested(kind: Kind) -> None:
    for row in rows(kind.kind):
        assert row.meaning.startswith((*MEANINGS, "as `")), row
        assert (ROOT / row.test).is_file(), row


@each_kind
def test_fields_work_only_in_kinds_that_the_compiler_acts_on(kind: Kind) -> None:
    assert kind.acts == any(row.meaning.startswith("**works**") for row in rows(kind.kind))


@each_kind
def test_the_page_tells_which_versions_are_read_and_served(kind: Kind) -> None:
    served = [v for v, form in zip(kind.versions, kind.forms, strict=True) if crd.is_served(form)]
    assert f"| {kind.kind} | {', '.join(kind.versions)} | {', '.join(served)} |" in PAGE
