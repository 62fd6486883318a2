"""What an application says: a line on stdout for each event, the newest also on its page."""

import sys
import threading
import time
from collections import deque
from typing import NamedTuple, TextIO

REMEMBERED = 6
LONGEST_LINE = 300


class Entry(NamedTuple):
    """One event. `mood` is `good`, `bad` or `plain`; `at` is in seconds since 1970."""

    at: float
    text: str
    mood: str


class Journal:
    """Print events as they come, and remember the newest."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._entries: deque[Entry] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def say(self, text: str, mood: str = "plain") -> None:
        line = one_line(text)
        with self._lock:
            self._entries.append(Entry(time.time(), line, mood))
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # Whoever read the log is gone. That is no reason to stop serving.
                pass

    def entries(self) -> tuple[Entry, ...]:
        """Return the newest events, newest first."""
        with self._lock:
            return tuple(reversed(self._entries))


def one_line(text: str) -> str:
    """Return text that came from elsewhere in a form that is safe in a terminal."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    return flat if len(flat) <= LONGEST_LINE else flat[: LONGEST_LINE - 1] + "…"
