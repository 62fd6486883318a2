"""Keeps objects of one kind as documents say: writes what is absent or different, and nothing else.

Watches them, so what somebody deleted or edited is back within a second; but only so often in a
minute, since it may be another program that is as sure of itself.
"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec
import structlog

from osm.core.api.registry import Document
from osm.kit.pace import Pace
from osm.kit.work_queue import Again, WorkQueue
from osm.kubernetes.api_server import ApiServer, Status
from osm.kubernetes.part_of import is_part_of
from osm.kubernetes.reflector import Name, Reflector, Resource
from osm.kubernetes.writing import (
    CONFLICT,
    FAILURES,
    NOT_FOUND,
    Write,
    again_after,
    server_side_apply,
)

log = structlog.get_logger("osm.kubernetes")

FOLLOW_PAUSE_S = 3.0
TERMINATING_PAUSE_S = 10.0
LOOK_S = 0.05
"""Between two looks at whether the copy is whole, right after the start."""

Object = Mapping[str, Any]


class Rules(msgspec.Struct, frozen=True):
    """How objects are kept: one is written `often[0]` times in `often[1]` seconds at most; one that is
    absent is made when it has been so for `absent_s`; one that nobody wants is removed if it `is_ours`;
    one that `is_left` is not touched.
    """

    often: tuple[int, float]
    absent_s: float = 0.0
    is_ours: Callable[[Object], bool] = lambda _: False
    is_left: Callable[[Object], bool] = lambda _: False


class KeptObjects:
    """Implements `reflector.Sink`. Belongs to one event loop; `run` belongs to a task."""

    def __init__(
        self,
        server: ApiServer,
        write: Write,
        resource: Resource,
        selector: Mapping[str, str],
        rng: Random,
        rules: Rules,
        *,
        on_restored: Callable[[Object], None] = lambda _: None,
    ) -> None:
        """`on_restored` hears what somebody had changed."""
        self._write = write
        self._resource = resource
        self._reflector = Reflector(server, resource, self, rng, selector=selector)
        self._rules = rules
        self._absent_since: dict[Name, float] = {}
        self._on_restored = on_restored
        self._wanted: dict[Name, Document] | None = None
        """None: it is not known yet, and nothing is changed."""
        self._present: dict[Name, Object] = {}
        self._settled = ""
        """How well `_present` is known: `whole`, or `unknown` when it may not be read."""
        self._right: dict[Name, Document] = {}
        """What each object was known to be at some moment."""
        self._cut: dict[Name, tuple[Document, str]] = {}
        """What was written, and the version in which the server kept less than that."""
        self._pace = Pace[Name](*rules.often, _loop_time)
        self.queue = WorkQueue[Name](self._look, rng)

    def want(self, documents: Mapping[Name, Document]) -> None:
        """Objects as they should be from now on, all of them, by namespace and name."""
        before = self._wanted or {}
        for name in documents.keys() | before.keys():
            if documents.get(name) != before.get(name):
                self.queue.drop(name)
                self.queue.put(name)
        if self._wanted is None:
            for name in self._present:
                self.queue.put(name)
        self._wanted = dict(documents)

    async def run(self) -> None:
        """Keep them until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self.queue.run())

    async def _follow(self) -> None:
        while True:
            await self._reflector.run()
            await asyncio.sleep(FOLLOW_PAUSE_S)

    # --- what the reflector says

    def changed(
        self, _resource: Resource, applied: Mapping[Name, bytes], deleted: frozenset[Name]
    ) -> None:
        """Take the present form of objects."""
        for name, content in applied.items():
            self._take(name, msgspec.json.decode(content))
        for name in deleted:
            self._present.pop(name, None)
        for name in (*applied, *deleted):
            self.queue.put(name)

    def synced(self, _resource: Resource, problem: str) -> None:
        """All that exist are known; or, with a problem, cannot be."""
        if problem and not self._settled:
            log.warning("cannot be watched", resource=self._resource.plural, problem=problem)
        self._settled = "unknown" if problem else "whole"

    def _take(self, name: Name, found: Object) -> None:
        before = self._present.get(name)
        if before is None or _version(found) >= _version(before):
            self._present[name] = found

    # --- one object

    async def _look(self, name: Name) -> Again | None:
        if self._wanted is None:
            return None
        if not self._settled:
            return Again(LOOK_S, failed=False)
        wanted, present = self._wanted.get(name), self._present.get(name)
        if not self._is_wrong(name, wanted, present):
            return None
        if wait := max(self._pace.wait_s(name), self._absence_s(name)):
            return Again(wait, failed=False)
        self._pace.take(name)
        try:
            if wanted is None:
                assert present is not None  # what is absent and not wanted is right
                await self._delete(name, present)
            else:
                await self._apply(name, wanted)
        except FAILURES as error:
            return self._refused(name, error)
        return None

    def _is_wrong(self, name: Name, wanted: Document | None, present: Object | None) -> bool:
        if wanted is None:
            self._right.pop(name, None)
            return present is not None and self._rules.is_ours(present)
        if self._settled == "unknown":
            return self._right.get(name) != wanted  # all that can be known is what we wrote
        if present is None:
            return True
        if is_part_of(wanted, present):
            self._right[name] = wanted
            return False
        if self._rules.is_left(present):
            return False
        return self._cut.get(name) != (wanted, str(_version(present)))

    def _absence_s(self, name: Name) -> float:
        """How much longer an object must be absent."""
        if name in self._present or self._settled == "unknown":
            self._absent_since.pop(name, None)
            return 0.0
        since = self._absent_since.setdefault(name, _loop_time())
        return max(0.0, since + self._rules.absent_s - _loop_time())

    async def _apply(self, name: Name, wanted: Document) -> None:
        answer = await server_side_apply(self._write, self._path(name), wanted)
        stored = msgspec.json.decode(answer)
        was_right = self._right.get(name) == wanted
        self._right[name] = wanted
        self._absent_since.pop(name, None)
        if self._settled == "whole":
            self._take(name, stored)
        if not is_part_of(wanted, stored):
            log.warning("the API server keeps less than it was given", object="/".join(name))
            self._cut[name] = wanted, str(_version(stored))
        if was_right:
            self._on_restored(stored)

    async def _delete(self, name: Name, present: Object) -> None:
        meta = present["metadata"]
        # What somebody took over or changed since is not what was looked at.
        only = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        await self._write("DELETE", self._path(name), None, {"preconditions": only})

    def _refused(self, name: Name, error: Exception) -> Again | None:
        match error:
            case Status(code=code) if name not in (self._wanted or {}) and code in (
                NOT_FOUND,
                CONFLICT,
            ):
                return None  # it is gone, or the watch will say what it is now
            case Status(message=message) if "is being terminated" in message:
                return Again(TERMINATING_PAUSE_S, failed=False)
        return again_after(error, f"{self._resource.plural} {'/'.join(filter(None, name))}")

    def _path(self, name: Name) -> str:
        root, _, plural = self._resource.path.rpartition("/")
        place = f"/namespaces/{name[0]}" if name[0] else ""
        return f"{root}{place}/{plural}/{name[1]}"


def _version(found: Object) -> int:
    return int(found["metadata"].get("resourceVersion") or 0)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
