"""Keeps the event loop responsive while hundreds of tasks have work at the same moment."""

import asyncio
from heapq import heappop, heappush
from itertools import count
from time import perf_counter

RELEASED = 64
"""How many waiting tasks wake in one pass of the loop; those that find its time used up wait again."""


class Turns:
    """Tasks that `take` a turn before a piece of work share each pass of the event loop.

    When a pass has lasted `slice_s`, the others wait for the next one, first come first served; in
    between the loop serves sockets and timers. Without a crowd a turn costs next to nothing.
    """

    def __init__(self, slice_s: float = 0.05) -> None:
        self._slice_s = slice_s
        self._tickets = count()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._open = False
        self._taken = 0
        self._until = 0.0

    async def take(self) -> None:
        """Return when there is time for a piece of work, which should follow without waiting."""
        if self._waiting or not self._has_time():
            ticket = next(self._tickets)
            await self._wait(ticket)
            while not self._has_time():
                await self._wait(ticket)
        self._taken += 1

    async def _wait(self, ticket: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (ticket, turn))
        await turn

    def _has_time(self) -> bool:
        if not self._open:
            self._begin()
        # Somebody gets a turn in each pass, however long the loop was busy with other things.
        return not self._taken or perf_counter() < self._until

    def _begin(self) -> None:
        self._open = True
        self._taken = 0
        self._until = perf_counter() + self._slice_s
        asyncio.get_running_loop().call_soon(self._next_pass)

    def _next_pass(self) -> None:
        if not self._waiting:
            self._open = False
            return
        self._begin()
        released = 0
        while self._waiting and released < RELEASED:
            _, turn = heappop(self._waiting)
            if not turn.done():  # it is when its task was cancelled
                turn.set_result(None)
                released += 1
