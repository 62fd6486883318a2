"""How often something may be done to one key: so often in any span of time, and no more."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Pace(Generic[K]):
    """At most `count` times in any `span_s` seconds for each key."""

    def __init__(self, count: int, span_s: float, now_s: Callable[[], float]) -> None:
        self._count = count
        self._span_s = span_s
        self._now_s = now_s
        self._taken: dict[K, deque[float]] = {}

    def wait_s(self, key: K) -> float:
        """How long until it may be done again; 0 when it may be done now."""
        taken = self._taken.get(key)
        if taken is None or len(taken) < self._count:
            return 0.0
        return max(0.0, taken[0] + self._span_s - self._now_s())

    def take(self, key: K) -> None:
        """It is done now."""
        self._taken.setdefault(key, deque(maxlen=self._count)).append(self._now_s())

    def forget(self, key: K) -> None:
        self._taken.pop(key, None)
