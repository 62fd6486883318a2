"""When to look at every file, whether or not the system told of something: rarely, and beside."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from osm.core.model.origin import Finding
from osm.local.collection import FileState
from osm.local.folder import FoundFile, Visitor, list_files
from osm.local.watcher import Watcher

_LOOK_ANYWAY_S = 1.0
"""For what the system does not report: network file systems, files that stay open."""
_SHARE, _WANTED_SHARE = 0.01, 0.1
"""Of a CPU: for regular looks, and for those that a change waits for."""

States = Mapping[str, FileState]
"""Of files, by path."""


class Look(msgspec.Struct, frozen=True):
    """What a look at everything found: what is wrong, and names of the files to read, by path."""

    findings: tuple[Finding, ...]
    changed: Mapping[str, str]
    cost_s: float
    """CPU time."""

    @property
    def complaints(self) -> AbstractSet[str]:
        """Names of the places that something is wrong with: only a look tells when it is not."""
        return {finding.where for finding in self.findings}


class Looks:
    """Looks at everything below `roots` in a thread, one at a time. `ring` is called at its end."""

    def __init__(
        self,
        roots: Sequence[Path],
        directory: Path,
        watcher: Watcher,
        ring: Callable[[], None],
    ) -> None:
        self.wanted = False
        """Whether a change waits for a look."""
        self._roots = tuple(roots)
        self._directory = directory
        self._watcher = watcher
        self._ring = ring
        self._running: asyncio.Task[Look] | None = None
        self._ended = self._cost_s = -math.inf

    @property
    def due(self) -> float:
        """When the next one may begin, in the event loop's time."""
        if self._running is not None:
            return math.inf
        if self.wanted:
            return self._ended + self._cost_s / _WANTED_SHARE
        return self._ended + max(_LOOK_ANYWAY_S, self._cost_s / _SHARE)

    @property
    def are_awaited(self) -> bool:
        """Whether one goes on, or ought to."""
        return self.wanted or self._running is not None

    async def first(self) -> Look:
        """Look now, and wait for it."""
        self.begin({})
        while (look := self.take()) is None:
            assert self._running is not None
            await asyncio.wait([self._running])
        return look

    def begin(self, states: States) -> None:
        """Begin one. `states` are the files as they are known."""
        self.wanted = False
        self._running = asyncio.create_task(self._look(dict(states)))
        self._running.add_done_callback(lambda _: self._ring())

    def take(self) -> Look | None:
        """What a look that has ended found."""
        if self._running is None or not self._running.done():
            return None
        look = self._running.result()
        self._running = None
        self._ended, self._cost_s = asyncio.get_running_loop().time(), look.cost_s
        return look

    async def close(self) -> None:
        """Give up."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _look(self, states: States) -> Look:
        visit = self._watcher.visit()
        look = await asyncio.to_thread(self._compare, states, visit)
        self._watcher.watch_only(visit)
        return look

    def _compare(self, states: States, visitor: Visitor) -> Look:
        started = time.thread_time()
        listing = list_files(self._roots, optional=(self._directory,), visitor=visitor)
        changed = {file.path: file.name for file in listing.files if not is_as_known(file, states)}
        gone = states.keys() - {file.path for file in listing.files}
        changed |= {path: states[path].name for path in gone}
        return Look(listing.findings, changed, time.thread_time() - started)


def is_as_known(file: FoundFile, states: States) -> bool:
    """Whether a file has not changed."""
    state = states.get(file.path)
    return state is not None and state.signature == file.signature and state.name == file.name
