"""Work on keys, each key at most once at a time: what is asked for twice is done once.

For writers that compare the world with what it should be: a key says where to look, and not what
changed, so nothing is lost when several changes become one piece of work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Generic, TypeVar

import msgspec

from osm.kit.backoff import Backoff

K = TypeVar("K", bound=Hashable)


class Again(msgspec.Struct, frozen=True, gc=False):
    """A piece of work must be done again, not earlier than in `after_s`; later if it `failed`."""

    after_s: float = 0.0
    failed: bool = True


class WorkQueue(Generic[K]):
    """`work` is called with each key that was put; `run` belongs to a task.

    At most one key begins every `pause_s`, and at most `workers` are worked on at a time. A key that
    failed waits longer and longer, also when it is put again meanwhile.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[Again | None]],
        rng: Random,
        *,
        backoff: Backoff | None = None,
        pause_s: float = 0.0,
        workers: int = 4,
    ) -> None:
        self._work = work
        self._rng = rng
        self._backoff = backoff or Backoff(base_s=0.5, ceiling_s=30.0)
        self._pause_s = pause_s
        self._room = asyncio.Semaphore(workers)
        self._due: dict[K, float] = {}
        """When each waiting key may begin, by the loop's clock."""
        self._order: list[tuple[float, int, K]] = []
        """A heap of these; entries that `_due` does not say any more are passed over."""
        self._numbers = count()
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._held_until: dict[K, float] = {}
        self._news = asyncio.Event()

    def put(self, key: K, after_s: float = 0.0) -> None:
        """Have a key worked on; one that is worked on now, once more. Never waits."""
        at = asyncio.get_running_loop().time() + after_s
        at = max(at, self._held_until.get(key, 0.0))
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        if key not in self._busy:
            self._line_up(key)

    def drop(self, key: K) -> None:
        """A key does not matter any more."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        self._held_until.pop(key, None)

    @property
    def waiting(self) -> int:
        """How many keys wait for their turn."""
        return len(self._due)

    async def run(self) -> None:
        """Work until cancelled, which cancels what is worked on."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._room.acquire()
                key = await self._next()
                self._busy.add(key)
                group.create_task(self._do(key))
                await asyncio.sleep(self._pause_s)

    def _line_up(self, key: K) -> None:
        heappush(self._order, (self._due[key], next(self._numbers), key))
        self._news.set()

    async def _next(self) -> K:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            while self._order and self._due.get(self._order[0][2]) != self._order[0][0]:
                heappop(self._order)
            wait = self._order[0][0] - loop.time() if self._order else None
            if wait is not None and wait <= 0:
                key = heappop(self._order)[2]
                del self._due[key]
                return key
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _do(self, key: K) -> None:
        try:
            again = await self._work(key)
        finally:
            self._busy.discard(key)
            self._room.release()
        self._held_until.pop(key, None)
        if again is None:
            self._failures.pop(key, None)
            if key in self._due:
                self._line_up(key)
            return
        self._due.pop(key, None)
        self._held_until[key] = asyncio.get_running_loop().time() + self._delay_s(key, again)
        self.put(key)

    def _delay_s(self, key: K, again: Again) -> float:
        if not again.failed:
            return again.after_s
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # Not before half of what the attempt may draw: a storm of puts is no reason to hurry.
        limit = self._backoff.limit_s(failures)
        return max(again.after_s, limit / 2 + self._rng.uniform(0, limit / 2))
