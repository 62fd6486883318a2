"""What an application says: a line on stdout for each event, the newest also on its page."""

import sys
import threading
import time
from typing import NamedTuple, TextIO

REMEMBERED = 6
LONGEST_LINE = 300


class Entry(NamedTuple):
    """An event, and how often it came. `at`, in seconds since 1970, is the last time.

    `mood` is `good`, `bad` or `plain`.
    """

    at: float
    text: str
    mood: str
    times: int


class Journal:
    """Print events as they come, and remember the newest: equal ones once, with their number."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._entries: dict[str, Entry] = {}  # oldest first
        self._lock = threading.Lock()

    def say(self, text: str, mood: str = "plain") -> None:
        line = one_line(text)
        with self._lock:
            before = self._entries.pop(line, None)
            times = 1 if before is None else before.times + 1
            self._entries[line] = Entry(time.time(), line, mood, times)
            if len(self._entries) > REMEMBERED:
                del self._entries[next(iter(self._entries))]
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # Whoever read the log is gone. That is no reason to stop serving.
                pass

    def entries(self) -> tuple[Entry, ...]:
        """Return the newest events, newest first."""
        with self._lock:
            return tuple(reversed(self._entries.values()))


def one_line(text: str) -> str:
    """Return text that came from elsewhere in a form that is safe in a terminal."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    return flat if len(flat) <= LONGEST_LINE else flat[: LONGEST_LINE - 1] + "…"
