"""The mesh's objects as YAML files: watched, and edited for `osm apply` and `osm delete`.

Nothing here knows what an object means (`osm.core.api`); how files become objects is `collection`,
what an edit does to them `edits`, where they are `folder`, when they change `watcher` and `looks`.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from osm.core.api.manifest import Key, Manifest
from osm.errors import ConfigError
from osm.local.collection import Collection, FileState
from osm.local.edits import Plan, plan_apply, plan_delete
from osm.local.folder import FoundFile, find_file, list_files
from osm.local.looks import Look, Looks, is_as_known
from osm.local.reading import state_of
from osm.local.watcher import Watcher
from osm.local.writing import write_all
from osm.ports import AppliedObject, Change

_CONFIRM_S = 0.06
"""Nothing is withdrawn before it was missing twice: editors empty a file, then write it."""
_TOGETHER = 100
"""Files that are read at once. What more of them hold comes in several changes."""

_LITTLE_FILES, _LITTLE_BYTES = 10, 16 * 1024
"""What is read within a millisecond or two, so that a thread's way there and back is longer."""

States = Mapping[str, FileState | None]
"""Of files by path; None: there is no file."""


class FileSource:
    """A `Source` of the objects in files below `paths` and `directory`, where new ones are put."""

    def __init__(self, paths: Sequence[Path], *, directory: Path) -> None:
        self._paths = tuple(paths)
        self._directory = directory
        self._collection = Collection()
        self._following: tuple[Watcher, Looks] | None = None
        self._bell = asyncio.Event()
        self._editing = asyncio.Lock()

    @property
    def objects(self) -> Mapping[Key, Manifest]:
        """The objects that were last taken over, each with its place."""
        return self._collection.objects

    async def watch(self) -> AsyncIterator[Change]:
        """Everything first, then each change within a few milliseconds of the end of the edit.

        What becomes broken stays as it was; what goes is withdrawn a little later than a change.
        """
        loop = asyncio.get_running_loop()
        self._collection = collection = Collection()
        watcher = Watcher(self._bell.set)
        looks = Looks(self._paths, self._directory, watcher, self._bell.set)
        self._following = watcher, looks
        doubts: dict[str, float] = {}
        try:
            look = await looks.first()
            yield await asyncio.to_thread(self._read_first, look)
            while True:
                # What seems to be gone may only have moved: a look that is awaited comes first.
                dues = () if looks.are_awaited else doubts.values()
                await self._rest(min((looks.due, *dues)))
                self._bell.clear()
                news = watcher.take()
                looks.wanted |= news.anywhere
                changed = dict(news.paths)
                if not looks.are_awaited:
                    due = [path for path, when in doubts.items() if when <= loop.time()]
                    changed |= {path: collection.states[path].name for path in due}
                if (ended := looks.take()) is not None:
                    look = ended
                    changed |= look.changed
                if looks.due <= loop.time():
                    looks.begin(collection.states)
                complaints = look.complaints
                for some in _batches(changed):
                    if _is_little(some, news.paths):
                        states = self._read(some)
                    else:
                        states = await asyncio.to_thread(self._read, some)
                    # Links, and what they replace or are replaced by, are a matter of the whole.
                    looks.wanted |= any(
                        name in complaints or (states[path] is None and os.path.lexists(path))
                        for path, name in some.items()
                        if path in news.paths
                    )
                    believed = _believe(collection, states, doubts, loop.time())
                    change = collection.update(believed, look.findings)
                    if change is not None:
                        yield change
        finally:
            self._following = None
            await looks.close()
            watcher.close()

    async def _rest(self, until: float) -> None:
        # Not `wait_for`: before Python 3.12 it can swallow a cancellation.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until if until < math.inf else None):
                await self._bell.wait()

    def _read_first(self, look: Look) -> Change:
        return self._collection.update(self._read(look.changed), look.findings) or Change()

    def _read(self, files: Mapping[str, str]) -> dict[str, FileState | None]:
        """What files contribute now, on top of what was last taken over."""
        found = {path: find_file(path, name) for path, name in files.items()}
        return {path: self._state(file) if file else None for path, file in found.items()}

    def _state(self, file: FoundFile) -> FileState:
        return state_of(file, self._collection.states.get(file.path))

    async def apply(self, text: str, *, dry_run: bool = False) -> Sequence[AppliedObject]:
        """Write objects to their files. All or none: raises InvalidObjects and changes nothing."""
        async with self._editing:
            plan = await asyncio.to_thread(self._plan_apply, text)
            if not dry_run:
                await self._carry_out(plan)
        return plan.results

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]:
        """Remove objects from their files. Raises UsageError for one that does not exist."""
        async with self._editing:
            plan = await asyncio.to_thread(lambda: plan_delete(keys, self._present_states()))
            await self._carry_out(plan)
        return plan.results

    def _plan_apply(self, text: str) -> Plan:
        directory = self._directory.resolve()
        taken: list[str] = []
        with contextlib.suppress(OSError):  # it need not be there yet; writing says what is wrong
            taken = [str(path) for path in directory.iterdir()]
        return plan_apply(text, self._present_states(), str(directory), taken)

    def _present_states(self) -> Mapping[str, FileState]:
        """The files as they are at this moment, in order."""
        known = dict(self._collection.states)  # which changes while this thread looks
        listing = list_files(self._paths, optional=(self._directory,))
        return {
            file.path: known[file.path] if is_as_known(file, known) else self._state(file)
            for file in listing.files
        }

    async def _carry_out(self, plan: Plan) -> None:
        texts = {Path(path): text for path, text in plan.texts.items()}
        try:
            await asyncio.to_thread(write_all, texts)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or self._directory}: cannot be written: {error.strerror}",
                hint="Check the permissions and the free space there.",
            ) from error
        if self._following is None:
            return
        watcher, looks = self._following
        if not all(watcher.hears(str(path.parent)) for path in texts):
            looks.wanted = True
            self._bell.set()


def _believe(
    collection: Collection, states: States, doubts: dict[str, float], now: float
) -> States:
    """The states to take over. What takes an object away must do so again, later than its doubt."""
    confirmed = {path for path in states if doubts.get(path, math.inf) <= now}
    losing = collection.losing(states, believed=confirmed)
    for path in states:
        if path in losing:
            doubts.setdefault(path, now + _CONFIRM_S)
        else:
            doubts.pop(path, None)
    return {path: state for path, state in states.items() if path not in losing}


def _is_little(files: Mapping[str, str], told: Mapping[str, str]) -> bool:
    """Whether files may be read without a thread: few and small, and written on this machine."""
    if len(files) > _LITTLE_FILES or not files.keys() <= told.keys():
        return False
    found = [find_file(path, name) for path, name in files.items()]
    return sum(file.size for file in found if file) <= _LITTLE_BYTES


def _batches(files: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Parts of a mapping; one of them, even when it is empty."""
    items = tuple(files.items())
    for start in range(0, max(len(items), 1), _TOGETHER):
        yield dict(items[start : start + _TOGETHER])
