"""Text on a terminal: aligned, coloured only where wanted, and never obeyed (U3)."""

import io
import json
import re

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cli.calls import Mesh, Run

from osm.cli import render
from osm.cli.encode import camel, to_json, to_yaml
from osm.cli.log_lines import LogLines
from osm.cli.proxies import ago
from osm.core.model.origin import Finding, Origin, Severity
from osm.ports import LogLine
from osm.testing.bookstore_view import bookstore_view

ESCAPES = (
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\rover",
    "\x00",
    "\x08\x08",
    "\x7f",
    "\u202eevil",
    "\u200bhidden",
    "\ud800",
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ud800]")


class Terminal(io.StringIO):
    """Something that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", ESCAPES, ids=repr)
def test_what_a_terminal_would_obey_is_shown_as_text(text: str) -> None:
    shown = render.one_line(f"a{text}b\nc")
    assert not OBEYED.search(shown)
    assert "\n" not in shown
    assert "\\" in shown


@given(st.text())
def test_no_text_at_all_is_obeyed(text: str) -> None:
    assert not OBEYED.search(render.printable(text))
    as_json = to_json({text: [text]})
    assert not OBEYED.search(as_json)
    assert json.loads(as_json) == {text: [text]}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_yaml_says_the_same_and_is_not_obeyed(text: str) -> None:
    as_yaml = to_yaml({"value": text})
    assert not OBEYED.search(as_yaml)
    assert yaml.safe_load(as_yaml) == {"value": text}


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=6))
def test_a_table_has_a_line_for_each_row_and_columns_that_begin_together(
    rows: list[tuple[str, str, str]],
) -> None:
    lines = render.table(("one", "two", "three"), rows).split("\n")
    assert len(lines) == len(rows) + 1
    shown = [[render.one_line(cell) or "-" for cell in row] for row in rows]
    start = max([3, *(render.width(row[0]) for row in shown)]) + 2
    for row, line in zip(shown, lines[1:], strict=True):
        assert render.width(line[: len(row[0])]) <= start - 2
        padding = " " * (start - render.width(row[0]))
        assert line.startswith((row[0] + padding + row[1]).rstrip())


def test_wide_letters_take_two_columns() -> None:
    table = render.table(("name", "x"), [("書店", "1"), ("shop", "2"), ("é", "3")])
    assert table == "NAME  X\n書店  1\nshop  2\né     3"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.049, "0.05"), (3.44, "3.4"), (12.6, "13"), (1234.4, "1234")],
)
def test_numbers_have_the_digits_that_say_something(value: float, text: str) -> None:
    assert render.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (100, "100%"), (99.96, "99.9%"), (97.5, "97.5%"), (0, "0%")],
)
def test_only_a_whole_hundred_is_a_hundred_percent(value: float | None, text: str) -> None:
    assert render.percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (59.9, "59s"), (192, "3m12s"), (7500, "2h5m")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (812, "812B"), (1024, "1.0KiB"), (3500, "3.4KiB"), (900_000, "879KiB"),
     (5 << 20, "5.0MiB")],
)  # fmt: skip
def test_sizes_read_as_people_say_them(count: int, text: str) -> None:
    assert render.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.0421, "0.04s ago"), (9.5, "9.5s ago"), (192, "3m12s ago")]
)
def test_how_long_ago_is_precise_only_where_it_is_short(seconds: float | None, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch,
    stream: io.StringIO,
    environment: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b" in render.paint("text", "red", stream)) is coloured


def test_fields_are_written_in_camel_case_and_keys_of_mappings_are_not() -> None:
    class Example(msgspec.Struct):
        some_field_s: dict[str, int]

    assert json.loads(to_json(Example({"app_name": 1}))) == {"someFieldS": {"app_name": 1}}
    assert camel("p50_ms") == "p50Ms"


def test_log_lines_have_their_workloads_name_before_them() -> None:
    lines = LogLines(io.StringIO())
    shown = [
        lines.format(LogLine("", "a", name, container, text))
        for name, container, text in (
            ("bookstore-v2", "app", "sold\x1b[2J a book\n"),
            ("shop", "envoy", "started"),
            ("shop", "app", "hello"),
        )
    ]
    assert shown == [
        "bookstore-v2 | sold\\x1b[2J a book",
        "shop envoy   | started",
        "shop         | hello",
    ]


EVIL = "evil\x1b[31m\r\x07"


def test_names_and_errors_from_a_mesh_are_not_obeyed_either(mesh: Mesh, run: Run) -> None:
    finding = Finding("OSM1", Severity.ERROR, Origin("K", EVIL, EVIL), EVIL, EVIL, EVIL)
    view = bookstore_view(10, mesh.api._started, page=EVIL)
    view = msgspec.structs.replace(
        view,
        mesh=EVIL,
        platform=EVIL,
        findings=(finding,),
        workloads=tuple(
            msgspec.structs.replace(each, phase="failed", reason=EVIL, app=each.name, name=EVIL)
            for each in view.workloads
        ),
        proxies=tuple(
            msgspec.structs.replace(
                each,
                name=EVIL,
                version=EVIL,
                types=tuple(
                    msgspec.structs.replace(kind, refused=1, last_error=EVIL, at_fault=(EVIL,))
                    for kind in each.types
                ),
            )
            for each in view.proxies
        ),
    )
    mesh.api.change = lambda _view: view
    for words in ("status", "status -o json", "status -o yaml", "proxy list", "proxy list -o wide",
                  "get pods -A", "get pods -A -o wide", "get pods -A -o yaml", "proxy list -o name",
                  "proxy diff --all", "proxy diff --all -o json", "proxy status bookbuyer",
                  "logs nobody", "explain nobody b"):  # fmt: skip
        result = run(*words.split())
        assert not OBEYED.search(result.out + result.err), words
        assert "\r" not in result.out + result.err
