"""Named counters that several threads raise."""

import threading
from collections.abc import Iterable


class Counters:
    """Whole numbers by name, in a fixed order. All changes of one call are seen together."""

    def __init__(self, names: Iterable[str]) -> None:
        self._values = dict.fromkeys(names, 0)
        self._lock = threading.Lock()

    def add(self, *names: str) -> None:
        """Raise each named counter by one."""
        with self._lock:
            for name in names:
                self._values[name] += 1

    def set(self, name: str, value: int) -> None:
        with self._lock:
            self._values[name] = value

    def reset(self) -> None:
        with self._lock:
            self._values = dict.fromkeys(self._values, 0)

    def values(self) -> dict[str, int]:
        with self._lock:
            return dict(self._values)

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._values[name]
