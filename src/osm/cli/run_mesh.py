"""A mesh in this process from its start to its end: signals, the clock, and what is shown.

The first Ctrl-C (or SIGTERM, SIGHUP) stops the mesh in order. The second cancels that, so that what
still runs is killed. The third leaves at once: the next start cleans up.
"""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import msgspec

from osm.cli.launch import RunningMesh, Start
from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding
from osm.ports import LogLine

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TICK_S = 1.0
_EARLIER_LINES = 1000
"""What workloads printed before everything was started is shown, too: up to this many lines."""
_LATE_S = 2.0
"""How long the last lines of a log may take after everything else ended."""


class Presenter(Protocol):
    """Shows a mesh to a person, or to a program."""

    wants_logs: bool
    wants_views: bool
    """Not for a great mesh: to put a view together each second would hold up everything else."""

    def step(self, step: str, state: str, detail: str) -> None:
        """Take one step of the start."""
        ...

    def started(self, view: MeshView) -> None:
        """Take the mesh as it is when everything was started."""
        ...

    def tick(self, view: MeshView) -> None:
        """Take the mesh as it is now, about once a second. Only called if `wants_views`."""
        ...

    def found(self, findings: Sequence[Finding]) -> None:
        """Take what is wrong now, about once a second. Only called unless `wants_views`."""
        ...

    def log(self, line: LogLine) -> None:
        """Take a line that a workload printed. Only called if `wants_logs`."""
        ...

    def stopping(self, reason: str, *, again: bool) -> None:
        """Hear why the mesh stops, and whether somebody had to ask again."""
        ...

    def close(self) -> None:
        """Give the terminal back. Called however it ends, perhaps twice."""
        ...


class Ended(msgspec.Struct, frozen=True):
    """How it ended: the last view (None if it never started), and the exit code that this means."""

    view: MeshView | None
    exit_code: int


class _Stop:
    """Who asked for the end. Before the mesh has started, the start is cancelled."""

    def __init__(self, presenter: Presenter) -> None:
        self.asked = asyncio.Event()
        self.started = False
        self.exit_code = 0
        self._presenter = presenter
        self._task = asyncio.current_task()
        self._signals = 0

    def because(self, reason: str) -> None:
        """Stop in order."""
        if not self.asked.is_set():
            self._presenter.stopping(reason, again=False)
            self.asked.set()

    def signalled(self, number: signal.Signals) -> None:
        """Take a signal: stop, stop at once, leave."""
        self._signals += 1
        if self._signals >= 3:
            self._presenter.close()
            os._exit(128 + number)
        self.exit_code = self.exit_code or 128 + number
        again = self.asked.is_set()
        if again:
            self._presenter.stopping(number.name, again=True)
        else:
            self.because("Ctrl-C" if number is signal.SIGINT else number.name)
        if (again or not self.started) and self._task is not None:
            self._task.cancel()


async def run_mesh(start: Start, presenter: Presenter, *, duration_s: float | None) -> Ended:
    """Start a mesh, show it until a signal, `osm down` or its duration ends it, and stop it."""
    stop = _Stop(presenter)
    last: MeshView | None = None
    with _handling(stop):
        try:
            async with start(presenter.step) as mesh:
                stop.started = True
                last = mesh.api.view()
                presenter.started(last)
                last = await _show(mesh, presenter, stop, duration_s, last)
        except asyncio.CancelledError:
            if not stop.exit_code:
                raise
        finally:
            presenter.close()
    return Ended(last, stop.exit_code)


async def _show(
    mesh: RunningMesh, presenter: Presenter, stop: _Stop, duration_s: float | None, last: MeshView
) -> MeshView:
    loop = asyncio.get_running_loop()
    end = None if duration_s is None else loop.time() + duration_s
    ended = asyncio.ensure_future(mesh.stopped())
    asked = asyncio.ensure_future(stop.asked.wait())
    logs = asyncio.ensure_future(_show_logs(mesh, presenter))
    try:
        while not stop.asked.is_set():
            now = loop.time()
            if end is not None and now >= end:
                stop.because(f"{duration_s:g} seconds are over")
                break
            wait = _TICK_S if end is None else min(_TICK_S, end - now)
            await asyncio.wait({ended, asked}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if logs.done():
                logs.result()  # a mistake in there must not pass in silence
            if ended.done():
                stop.because(ended.result())
                break
            if presenter.wants_views:
                last = mesh.api.view()
                presenter.tick(last)
            else:
                presenter.found(mesh.api.findings())
        return last
    finally:
        for task in (ended, asked, logs):
            task.cancel()
        await asyncio.wait({ended, asked, logs}, timeout=_LATE_S)


async def _show_logs(mesh: RunningMesh, presenter: Presenter) -> None:
    if not presenter.wants_logs:
        return
    async for line in mesh.api.logs("", tail=_EARLIER_LINES, follow=True):
        presenter.log(line)


@contextmanager
def _handling(stop: _Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled = []
    for number in _SIGNALS:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            loop.add_signal_handler(number, stop.signalled, number)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
