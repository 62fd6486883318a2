"""Lines that workloads print, each with its workload's name before it, and in its colour."""

import zlib
from typing import IO

from osm.cli.render import one_line, paint, width
from osm.ports import LogLine

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")
PROXY = "envoy"
"""The name of the container that is the proxy."""


def is_proxy(line: LogLine) -> bool:
    """Tell whether a proxy printed the line, and not the program beside it."""
    return line.container == PROXY


def colour_of(name: str) -> str:
    """Choose a workload's colour: the same in every run."""
    return _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]


class LogLines:
    """Formats lines; the prefixes grow to the same width."""

    def __init__(self, stream: IO[str], *, prefixed: bool = True) -> None:
        self._stream = stream
        self._prefixed = prefixed
        self._width = 0

    def format(self, line: LogLine) -> str:
        """Write a line, prefixed and escaped. What a program printed as an error is red."""
        text = one_line(line.text.rstrip("\r\n")).replace("\\t", "    ")
        if line.error and is_proxy(line):
            text = paint(text, "red", self._stream)
        if not self._prefixed:
            return text
        name = one_line(line.workload) + (" envoy" if is_proxy(line) else "")
        self._width = max(self._width, width(name))
        prefix = name + " " * (self._width - width(name)) + " |"
        return f"{paint(prefix, colour_of(line.workload), self._stream)} {text}"
