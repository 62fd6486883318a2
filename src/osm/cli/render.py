"""How values become text on a terminal: tables as kubectl prints them, colour, and escaping.

Names, log lines and errors come from others. Everything passes `printable`, so that no text can
move the cursor, recolour or retitle the terminal.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import IO

import click

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but for tab and newline, invisible ones, those that turn the direction of
text around, and bytes that were no UTF-8 (lone surrogates)."""


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable(text: str) -> str:
    r"""Escape what a terminal would obey: `\x1b[2J` becomes text. Newlines and tabs stay."""
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    """Escape newlines and tabs, too: for cells and for lines that must stay lines."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def has_colour(stream: IO[str]) -> bool:
    """Tell whether to colour: only on a terminal, and not against NO_COLOR or TERM=dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def paint(text: str, colour: str, stream: IO[str], *, bold: bool = False) -> str:
    """Colour text if the stream shows colour."""
    return click.style(text, fg=colour, bold=bold or None) if has_colour(stream) else text


def width(text: str) -> int:
    """Count the columns that text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Lay rows out under upper-case headers, two spaces between columns and none at the end."""
    lines = [[header.upper() for header in headers]]
    lines += [[one_line(cell) or "-" for cell in row] for row in rows]
    widths = [max(width(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        indent
        + "  ".join(
            cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def number(value: float) -> str:
    """Write a measured number with as many digits as say something: 0.12, 3.4, 56, 1234."""
    if value == 0:
        return "0"
    if abs(value) < 1:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 10 else f"{value:.0f}"


def percent(value: float | None) -> str:
    """Write a percentage, `-` when there is none. Only a whole hundred is written as 100 %."""
    if value is None:
        return "-"
    if 99.9 < value < 100:
        return "99.9%"
    return f"{value:.1f}".removesuffix(".0") + "%"


def milliseconds(value: float | None) -> str:
    """Write a duration in ms, `-` when there is none."""
    return "-" if value is None else f"{number(value)}ms"


def size(count: int) -> str:
    """Write a number of bytes: 512B, 3.4KiB, 12MiB."""
    if count < 1024:
        return f"{count}B"
    kibibytes = count / 1024
    return f"{number(kibibytes)}KiB" if kibibytes < 1024 else f"{number(kibibytes / 1024)}MiB"


def duration(seconds: float) -> str:
    """Write a duration as people say it: 42s, 3m12s, 2h5m."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes_rest}m"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
