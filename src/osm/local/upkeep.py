"""Keeps one program running: starts it, watches it, and starts it again with back-off."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from osm.errors import OsmError
from osm.local.pod_status import ProgramState
from osm.local.restart import Restarts
from osm.local.sandbox import Process


class Upkeep:
    """What the programs of a pod are kept by.

    `show` is called when a program's state changed, `tell` with a line for the program's output.
    """

    def __init__(
        self,
        *,
        stopping: Callable[[], bool],
        show: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._stopping = stopping
        self._show = show
        self._tell = tell

    async def keep(
        self,
        state: ProgramState,
        start: Callable[[], Awaitable[Process]],
        while_running: Callable[[Process], Awaitable[None]],
        start_again: Callable[[int], bool],
        *,
        when_ended: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep a program running until the pod stops, or its exit code says that it is done."""
        restarts = Restarts()
        loop = asyncio.get_running_loop()
        while not self._stopping():
            began = loop.time()
            try:
                code = await self._run_once(state, start, while_running)
                problem = _ending(code)
            except (OsmError, OSError) as error:
                code, problem = -1, str(error)
            state.ready = False
            when_ended()
            if self._stopping():
                return
            if not start_again(code):
                state.finished, state.problem = True, problem
                self._show()
                return
            delay = restarts.delay_s(loop.time() - began)
            state.restarts = restarts.count
            state.problem = f"{problem}; starts again in {delay:.1f} s"
            self._tell(state.name, state.problem)
            self._show()
            await asyncio.sleep(delay)

    async def _run_once(
        self,
        state: ProgramState,
        start: Callable[[], Awaitable[Process]],
        while_running: Callable[[Process], Awaitable[None]],
    ) -> int:
        process = await start()
        state.started = True
        self._show()
        watching = asyncio.ensure_future(while_running(process))
        try:
            await asyncio.wait([process.exited])
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        if not watching.cancelled() and (error := watching.exception()) is not None:
            raise error
        return process.exited.result()


def _ending(code: int) -> str:
    if code > 128:
        with suppress(ValueError):
            return f"killed by {signal.Signals(code - 128).name}"
    return f"ended with code {code}"
