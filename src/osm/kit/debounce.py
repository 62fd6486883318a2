"""Merges bursts: many changes in a short time become one."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Debounce(Generic[T]):
    """Holds what was put until it has been quiet for `quiet_s`, or `limit_s` after the first.

    Values that wait are merged into one by `merge(old, new)`, so that a storm takes no memory.
    One reader; put and take belong to the same event loop.
    """

    def __init__(
        self, merge: Callable[[T, T], T], *, quiet_s: float = 0.02, limit_s: float = 0.5
    ) -> None:
        self._merge = merge
        self._quiet_s = quiet_s
        self._limit_s = limit_s
        self._pending: list[T] = []
        self._arrived = asyncio.Event()
        self._first = 0.0
        self._last = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether something waits."""
        return bool(self._pending)

    def put(self, value: T) -> None:
        """Add a value. Never waits."""
        now = asyncio.get_running_loop().time()
        if self._pending:
            self._pending[0] = self._merge(self._pending[0], value)
        else:
            self._pending.append(value)
            self._first = now
        self._last = now
        self._arrived.set()

    async def take(self) -> T:
        """Wait for at least one value and for the end of its burst, and return them merged.

        A cancelled `take` loses nothing: the next one gets what was put.
        """
        await self._arrived.wait()
        loop = asyncio.get_running_loop()
        while (wait := self._due() - loop.time()) > 0:  # noqa: ASYNC110 - puts move it
            await asyncio.sleep(wait)
        self._arrived.clear()
        return self._pending.pop()

    def _due(self) -> float:
        return min(self._last + self._quiet_s, self._first + self._limit_s)
