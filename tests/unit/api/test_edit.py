"""Edits touch one document, and leave every other byte alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.core.api.edit import (
    document_of,
    key_of,
    keys_of,
    remove_document,
    replace_document,
    to_yaml,
)
from osm.core.api.manifest import Key
from osm.core.api.yaml_documents import split_documents
from osm.core.api.yaml_nodes import read_document
from osm.core.api.yaml_text import parse


def account(name: str, namespace: str = "default") -> Key:
    return Key("", "ServiceAccount", namespace, name)


def written(name: str) -> str:
    return f"apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n"


FILE = f"""\
# Copyright: the bookstore

# about a
{written("a")}# the end of a
---   # a remark
# about b
{written("b").replace(chr(10), " " + chr(10))}
---
broken: [
...
--- {{apiVersion: v1, kind: ServiceAccount, metadata: {{name: c}}}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ServiceAccount
  metadata: {{name: d}}  # gone when the list changes
- apiVersion: v1
  kind: ServiceAccount
  metadata: {{name: e}}
"""


def test_keys_are_read_even_where_a_document_is_broken() -> None:
    assert keys_of(FILE) == tuple(account(name) for name in "abcde")


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_replacing_a_document_leaves_all_others_as_they_were(name: str) -> None:
    old = document_of(FILE, account(name))
    assert old is not None
    before, after = FILE.split(old)
    new = "# new\n" + written(name) + "secrets: []\n"
    edited = replace_document(FILE, account(name), new)
    assert edited == before + ("\n" if name == "c" else "") + new + after.removeprefix(
        "\n" * (name == "c")
    )


def test_a_comment_above_stays_when_the_new_text_has_none() -> None:
    edited = replace_document(FILE, account("a"), written("a") + "secrets: []\n")
    assert edited.startswith(
        f"# Copyright: the bookstore\n\n# about a\n{written('a')}secrets: []\n---   #"
    )


def test_an_item_of_a_list_is_replaced_within_it() -> None:
    edited = replace_document(FILE, account("e"), "---\n" + written("e") + "secrets: []\n")
    assert edited.startswith(FILE[: FILE.index("apiVersion: v1\nkind: List")])
    assert keys_of(edited) == keys_of(FILE)
    assert "secrets: []" in edited


@pytest.mark.parametrize("name", list("abcde"))
def test_removing_a_document_leaves_all_others_as_they_were(name: str) -> None:
    edited = remove_document(FILE, account(name))
    assert keys_of(edited) == tuple(account(other) for other in "abcde" if other != name)
    for other in set("abc") - {name}:
        assert document_of(edited, account(other)) == document_of(FILE, account(other))
    assert edited.startswith("# Copyright: the bookstore\n\n")
    assert "broken: [\n" in edited


def test_removing_the_last_item_of_a_list_removes_the_list() -> None:
    edited = remove_document(remove_document(FILE, account("d")), account("e"))
    assert "List" not in edited


def test_what_is_defined_twice_goes_wholly() -> None:
    text = written("a") + "---\n" + written("b") + "---\n" + written("a")
    assert remove_document(text, account("a")) == written("b")


def test_the_only_document_goes_without_a_rest() -> None:
    assert remove_document("---\n" + written("a"), account("a")) == ""


def test_what_is_absent_can_be_neither_replaced_nor_removed() -> None:
    with pytest.raises(KeyError):
        replace_document(FILE, account("z"), written("z"))
    with pytest.raises(KeyError):
        remove_document(FILE, account("a", "elsewhere"))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "a: [\n", written("a") + "---\n" + written("b")]
)
def test_only_one_whole_document_can_replace_another(text: str) -> None:
    with pytest.raises(ValueError, match="one readable document"):
        replace_document(FILE, account("a"), text)


def test_line_breaks_of_windows_and_a_byte_order_mark_stay() -> None:
    text = "\ufeff" + (written("a") + "---\n" + written("b")).replace("\n", "\r\n")
    edited = replace_document(text, account("b"), written("b"))
    assert edited == "\ufeff" + (written("a") + "---\n").replace("\n", "\r\n") + written("b")


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    PLAIN,
    st.none(),
    st.sampled_from(
        [
            "no",
            "on",
            "1e3",
            "0x1",
            "12:30",
            "~",
            "null",
            "<<",
            "=",
            "2020-01-01",
            "*a",
            "-",
            "---",
            "y",
            "!x",
            "1_0",
        ]
    ),
    st.sampled_from(["", "a: b", "- a", "# a", "a\nb", "a\n", "\n", " a", "a ", "a\n\n b\n", "\t"]),
)
OBJECTS = st.dictionaries(
    PLAIN | st.sampled_from(["on", "1", "<<", "~", "a b"]),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(OBJECTS)
def test_an_object_survives_being_written_and_read(raw: dict[str, Any]) -> None:
    text = to_yaml(raw)
    (document,) = split_documents(text)
    node, problems = read_document(text[document.start : document.end])
    assert not problems
    assert node is not None
    assert node.value == raw


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)
NOISE = st.sampled_from(["", "# x\n", "\n", "# a: b\n\n# c\n", "  # y\n"])
SEPARATORS = st.sampled_from(["---\n", "--- # s\n", "...\n---\n", "---\n# c\n---\n", "---\r\n"])


@settings(max_examples=200, deadline=None)
@given(st.data(), NAMES)
def test_no_edit_of_one_document_changes_another(data: st.DataObject, names: list[str]) -> None:
    text = data.draw(st.sampled_from(["", "---\n", "# header\n\n"]))
    for index, name in enumerate(names):
        text += data.draw(SEPARATORS) if index else ""
        text += data.draw(NOISE) + written(name) + data.draw(NOISE)
    chosen = account(data.draw(st.sampled_from(names)))
    others = [key for key in keys_of(text) if key != chosen]
    assert len(others) == len(names) - 1

    new = {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": chosen.name},
        "x": [1],
    }
    replaced = replace_document(text, chosen, to_yaml(new))
    removed = remove_document(text, chosen)

    assert [key for key in keys_of(replaced) if key != chosen] == others
    assert list(keys_of(removed)) == others
    for key in others:
        assert document_of(replaced, key) == document_of(text, key)
        assert document_of(removed, key) == document_of(text, key)
    assert parse(replaced, file="f").findings == ()
    assert parse(removed, file="f").findings == ()


def test_the_key_of_an_object_is_read_without_its_checks() -> None:
    raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}
    assert key_of(raw) == Key("", "Namespace", "", "a")
    assert key_of({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 1}}) is None
    assert key_of([]) is None
