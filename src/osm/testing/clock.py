"""Time that tests own: a clock that stands still, and an event loop that does not wait."""

import asyncio
import heapq
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class FakeClock:
    """Implements `osm.ports.Clock`. Time passes only by `advance` or `jump`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + max(0.0, seconds), self._count, wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let time pass: sleepers wake in order, each at its time, and run until they wait."""
        await self.settle()
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, wake = heapq.heappop(self._sleepers)
            self._pass(at - self._elapsed)
            if not wake.done():
                wake.set_result(None)
                await self.settle()
        self._pass(end - self._elapsed)

    def jump(self, delta: timedelta) -> None:
        """Set the time of day. Sleepers do not notice, as with a real machine's timers."""
        self._now += delta

    async def settle(self) -> None:
        """Let every task that can run do so. Does not wait for sockets, threads or processes."""
        for _ in range(50):
            await asyncio.sleep(0)

    def _pass(self, seconds: float) -> None:
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the loop's time to it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("every task waits for something that no timer will bring")
        if not ready and timeout:
            self.now += timeout
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in which sleeping and time-outs take no time. Not for sockets."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(main)
