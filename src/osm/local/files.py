"""The mesh's objects as YAML files: watched, and edited for `osm apply` and `osm delete`.

Nothing here knows what an object means (`osm.core.api`); how files become objects is `collection`,
what an edit does to them `edits`, where they are `folder`.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from watchfiles import awatch

from osm.core.api.manifest import Key
from osm.core.model.origin import Finding
from osm.errors import ConfigError
from osm.local.collection import (
    Collection,
    FileState,
    collect,
    difference,
    read_state,
    unreadable_state,
)
from osm.local.edits import Plan, plan_apply, plan_delete
from osm.local.folder import Listing, list_files, read_file
from osm.ports import AppliedObject, Change

_STEP_MS = 20
"""How long a burst of events must pause before we look."""
_BURST_MS = 100
_CONFIRM_S = 0.06
"""Nothing is withdrawn before it was missing twice: editors empty a file, then write it."""
_LOOK_ANYWAY_S = 1.0
"""Also for what the system does not report: directories made anew, network file systems."""


class FileSource:
    """A `Source` of the objects in files below `paths` and `directory`, where new ones are put."""

    def __init__(self, paths: Sequence[Path], *, directory: Path) -> None:
        self._paths = tuple(paths)
        self._directory = directory
        self._states: Mapping[Path, FileState] = {}
        self._bell = asyncio.Event()
        self._editing = asyncio.Lock()

    async def watch(self) -> AsyncIterator[Change]:
        """Everything first, then each change within a few hundredths of a second of the edit.

        What becomes broken stays as it was; what goes is withdrawn a little later than a change.
        """
        shown: Collection | None = None
        ringers: _Ringers | None = None
        try:
            while True:
                self._bell.clear()
                listing, states = await asyncio.to_thread(self._look)
                if ringers is None or ringers.roots != listing.roots:
                    if ringers is not None:
                        await ringers.stop()
                    ringers = _Ringers(self._bell, listing, self._paths)
                    await asyncio.sleep(0)  # lets the watchers start
                    # Files may have changed between the look and the start of the watchers.
                    listing, states = await asyncio.to_thread(self._look)
                now = collect(states.values(), listing.findings)
                if shown is not None and shown.objects.keys() - now.objects.keys():
                    await asyncio.sleep(_CONFIRM_S)
                    listing, states = await asyncio.to_thread(self._look)
                    now = collect(states.values(), listing.findings)
                self._states = states
                change = difference(shown, now)
                shown = now
                if change is not None:
                    yield change
                # Not `wait_for`: before Python 3.12 it can swallow a cancellation.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_ANYWAY_S):
                        await self._bell.wait()
        finally:
            if ringers is not None:
                await ringers.stop()

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
            plan = await asyncio.to_thread(lambda: plan_delete(keys, self._look()[1]))
            await self._carry_out(plan)
        return plan.results

    def _plan_apply(self, text: str) -> Plan:
        taken: list[Path] = []
        with contextlib.suppress(OSError):  # it need not be there yet; writing says what is wrong
            taken = list(self._directory.resolve().iterdir())
        return plan_apply(text, self._look()[1], self._directory.resolve(), taken)

    async def _carry_out(self, plan: Plan) -> None:
        try:
            await asyncio.to_thread(_write_all, plan.texts)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or self._directory}: cannot be written: {error.strerror}",
                hint="Check the permissions and the free space there.",
            ) from error
        self._bell.set()

    def _look(self) -> tuple[Listing, Mapping[Path, FileState]]:
        """The files as they are now, on top of what was last taken over."""
        listing = list_files(self._paths, optional=(self._directory,))
        states: dict[Path, FileState] = {}
        for file in listing.files:
            before = self._states.get(file.path)
            if (
                before is not None
                and before.signature == file.signature
                and before.name == file.name
            ):
                states[file.path] = before
                continue
            content = read_file(file)
            states[file.path] = (
                unreadable_state(file.name, content, before)
                if isinstance(content, Finding)
                else read_state(file.name, content.data, content.signature, before)
            )
        return listing, states


class _Ringers:
    """Ring a bell when something happens below directories, or to files that were named alone."""

    def __init__(self, bell: asyncio.Event, listing: Listing, paths: Sequence[Path]) -> None:
        self.roots = listing.roots
        self._bell = bell
        self._stop = asyncio.Event()
        directories = {Path(name) for name, _, _ in listing.roots}
        # A file is watched through its directory: editors put a new file in its place.
        files = {path.absolute() for path in paths if path not in directories}
        parents = {path.parent for path in files if path.parent.is_dir()}
        self._tasks = [
            asyncio.create_task(self._ring(targets, recursive=recursive, only=only))
            for targets, recursive, only in (
                (directories, True, None),
                (parents, False, {str(path) for path in files}),
            )
            if targets
        ]

    async def _ring(self, targets: set[Path], *, recursive: bool, only: set[str] | None) -> None:
        # Without a watcher (too many of them on this machine, or a directory that just went) the
        # regular look finds changes, later.
        with contextlib.suppress(OSError, RuntimeError):
            async for _ in awatch(
                *targets,
                watch_filter=lambda _, path: only is None or path in only,
                step=_STEP_MS,
                debounce=_BURST_MS,
                recursive=recursive,
                stop_event=self._stop,
                ignore_permission_denied=True,
            ):
                self._bell.set()

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _write_all(texts: Mapping[Path, str | None]) -> None:
    """Write every file beside its place first, so that a full disk changes nothing."""
    ready: list[tuple[str, Path]] = []
    try:
        for path, text in texts.items():
            if text is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                ready.append((_write_beside(path, text), path))
        while ready:
            temporary, path = ready.pop()
            Path(temporary).replace(path)
    finally:
        for temporary, _ in ready:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
    for path, text in texts.items():
        if text is None:
            path.unlink(missing_ok=True)
    for directory in {path.parent for path in texts}:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_beside(path: Path, text: str) -> str:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, temporary = tempfile.mkstemp(prefix=".osm-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary
