"""Lines of programs: cut, escaped, kept, followed."""

import asyncio
import itertools
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.local.output import LONGEST_LINE, LineSplitter, Logs, escape, pump


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_lines_are_the_same_however_the_bytes_are_cut_into_pieces(
    data: bytes, cuts: list[int]
) -> None:
    whole = LineSplitter()
    expected = whole.feed(data, final=True)
    pieces = LineSplitter()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = [
        line for start, end in itertools.pairwise(edges) for line in pieces.feed(data[start:end])
    ]
    assert found + pieces.feed(b"", final=True) == expected


@given(st.binary(max_size=300))
def test_no_line_can_steer_a_terminal(data: bytes) -> None:
    for line in LineSplitter().feed(data, final=True):
        assert all(
            character == "\t" or character.isprintable() for character in line if character < "\x80"
        )
        assert "\x1b" not in line
        assert "\x9b" not in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07", "bell\\x07"),
        ("tab\tstays", "tab\tstays"),
        ("bidi\u202e", "bidi\\u202e"),
        ("größer → ✓", "größer → ✓"),
    ],
)
def test_control_characters_are_written_out(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_what_is_not_utf8_is_replaced_and_carriage_returns_go() -> None:
    assert LineSplitter().feed(b"a\xffb\r\nnext\n") == ["a\ufffdb", "next"]


def test_a_line_without_end_is_cut_and_takes_no_more_memory() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(10) for line in splitter.feed(b"x" * LONGEST_LINE)]
    assert all(len(line) <= LONGEST_LINE for line in lines)
    assert len(lines) >= 9


async def test_a_pump_gives_every_line_until_the_last_writer_is_gone() -> None:
    reading, writing = os.pipe()
    lines: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(pump(reading, lines.append))
        for text in (b"one\ntw", b"o\n", b"no newline"):
            os.write(writing, text)
            await asyncio.sleep(0)
        os.close(writing)
    assert lines == ["one", "two", "no newline"]


def some_logs(keep: int = 1000) -> Logs:
    return Logs(keep, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))


def test_the_last_lines_are_kept_for_each_container() -> None:
    logs = some_logs(keep=2)
    for number in range(5):
        logs.add("shop", "web-0", "web", f"line {number}", error=False)
    logs.add("shop", "web-0", "envoy", "quiet", error=True)
    logs.add("shop", "db-0", "db", "other", error=False)
    assert [line.text for line in logs.last("web-0", tail=10)] == ["line 3", "line 4", "quiet"]
    assert [line.text for line in logs.last("shop/db-0", tail=10)] == ["other"]
    assert [line.text for line in logs.last(tail=2)] == ["quiet", "other"]
    assert logs.last("web-0", tail=0) == []
    assert logs.last("web-0", tail=1)[0].time == "2026-01-02T00:00:00.000Z"


async def test_who_follows_gets_the_last_lines_and_then_the_new_ones() -> None:
    logs = some_logs()
    logs.add("shop", "web-0", "web", "old", error=False)
    following = logs.follow("web-0", tail=1)
    assert (await anext(following)).text == "old"
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    logs.add("shop", "db-0", "db", "of another", error=False)
    logs.add("shop", "web-0", "web", "new", error=False)
    assert (await asyncio.wait_for(waiting, 1)).text == "new"
