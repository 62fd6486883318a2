"""Kubernetes Events: what people must see, beside the object that it is about.

The same about the same object is one Event with a count. There are never more than a person can
read: some for each object, and a slow stream in all.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from random import Random
from typing import Literal

import msgspec
import structlog

from osm.core.install.names import CONTROLLER
from osm.kit.pace import Pace
from osm.kit.work_queue import Again, WorkQueue
from osm.kubernetes.api_server import MERGE, Status
from osm.kubernetes.writing import (
    CONFLICT,
    FAILURES,
    FIELD_MANAGER,
    NOT_FOUND,
    Write,
    again_after,
)

log = structlog.get_logger("osm.kubernetes")

NOTE_LIMIT = 1024
NAME_LIMIT = 230
"""Of an object's name, as a part of its Event's."""
PAUSE_S = 0.1
"""Between two writes."""
OFTEN = (25, 300.0)
"""New Events about one object, so many in so many seconds."""
COUNTED_S = 10.0
"""What happens again within this time is counted, and written once."""
LASTING_S = 1800.0
"""What lasts is told again: an API server keeps Events for an hour."""
REMEMBERED = 5000


class Regarding(msgspec.Struct, frozen=True, rename="camel"):
    """The object that an Event is about. Without `uid`, `kubectl describe` does not find the Event."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


class Happening(msgspec.Struct, frozen=True):
    """What happened, or lasts: `reason` is one CamelCase word, `note` is for people."""

    regarding: Regarding
    reason: str
    note: str
    type: Literal["Normal", "Warning"] = "Warning"


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _Event(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    count: int = 1


class EventWriter:
    """Belongs to one event loop. `run` belongs to a task."""

    def __init__(
        self,
        write: Write,
        pod_name: str,
        rng: Random,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        counted_s: float = COUNTED_S,
        lasting_s: float = LASTING_S,
    ) -> None:
        self._write = write
        self._pod_name = pod_name
        self._now = now
        self._lasting_s = lasting_s
        self._lasting: dict[Happening, float] = {}
        """What lasts, and when it was told."""
        self._untold: dict[Happening, int] = {}
        """How often each has happened since it was written."""
        self._counts: dict[Happening, int] = {}
        """Of Events that exist, the newest last."""
        self._new = Pace[Regarding](*OFTEN, _loop_time)
        self._again = Pace[Happening](1, counted_s, _loop_time)
        self.dropped = 0
        """Events that there were too many of."""
        self.queue = WorkQueue[Happening](self._tell, rng, pause_s=PAUSE_S, workers=2)

    def tell(self, happening: Happening) -> None:
        """It happened now. Never waits."""
        if happening not in self._untold and happening not in self._counts:
            if self._new.wait_s(happening.regarding):
                self.dropped += 1
                return
            self._new.take(happening.regarding)
        self._untold[happening] = self._untold.get(happening, 0) + 1
        self.queue.put(happening)

    def keep(self, lasting: Iterable[Happening]) -> None:
        """What lasts at this moment, all of it: told once, and again after a long time."""
        now = _loop_time()
        before, self._lasting = self._lasting, {}
        for happening in lasting:
            told = before.get(happening)
            if told is None or now - told >= self._lasting_s:
                self.tell(happening)
                told = now
            self._lasting[happening] = told

    async def run(self) -> None:
        """Write until cancelled."""
        await self.queue.run()

    async def _tell(self, happening: Happening) -> Again | None:
        times = self._untold.get(happening, 0)
        if not times:
            return None
        if wait := self._again.wait_s(happening):
            return Again(wait, failed=False)
        self._again.take(happening)
        try:
            count = await self._post_or_count(happening, times)
        except FAILURES as error:
            if isinstance(error, Status) and error.code == NOT_FOUND:
                self._forget(happening)  # its namespace is gone
                return None
            self._again.forget(happening)
            return again_after(error, f"an Event about {happening.regarding.name}")
        self._untold[happening] -= times
        if not self._untold[happening]:
            del self._untold[happening]
        self._counts.pop(happening, None)
        self._counts[happening] = count
        if len(self._counts) > REMEMBERED:
            self._forget(next(iter(self._counts)))
        return Again(0.0, failed=False) if happening in self._untold else None

    def _forget(self, happening: Happening) -> None:
        self._untold.pop(happening, None)
        self._counts.pop(happening, None)
        self._again.forget(happening)

    async def _post_or_count(self, happening: Happening, times: int) -> int:
        """Returns how often the Event now says that it happened."""
        event = _document(happening, self._pod_name, self._now(), times)
        folder = f"/api/v1/namespaces/{_namespace(happening)}/events"
        path = f"{folder}/{_name(happening)}"
        count = self._counts.get(happening)
        if count is not None:
            try:
                return await self._count(path, event, count + times)
            except Status as status:
                if status.code != NOT_FOUND:
                    raise  # otherwise it was kept long enough
        try:
            answer = await self._write("POST", folder, {"fieldManager": FIELD_MANAGER}, event)
        except Status as status:
            if status.code != CONFLICT:
                raise
            # One who led before us wrote it: what it has counted, its own answer says.
            return await self._count(path, event, None)
        return msgspec.json.decode(answer, type=_Event).count

    async def _count(self, path: str, event: dict[str, object], count: int | None) -> int:
        patch = {"lastTimestamp": event["lastTimestamp"]}
        if count is not None:
            patch["count"] = count
        answer = await self._write("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, MERGE)
        return msgspec.json.decode(answer, type=_Event).count


def _document(happening: Happening, pod_name: str, now: datetime, times: int) -> dict[str, object]:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {
        name: value for name, value in msgspec.to_builtins(happening.regarding).items() if value
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": _name(happening), "namespace": _namespace(happening)},
        "involvedObject": involved,
        "type": happening.type,
        "reason": happening.reason,
        "message": _cut(happening.note),
        "source": {"component": CONTROLLER},
        "reportingComponent": CONTROLLER,
        "reportingInstance": pod_name,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": times,
    }


def _namespace(happening: Happening) -> str:
    """Events about objects of no namespace are in `default`: the API demands it."""
    return happening.regarding.namespace or "default"


def _name(happening: Happening) -> str:
    """The same for the same, whichever replica says it."""
    digest = hashlib.sha256(msgspec.json.encode(happening)).hexdigest()[:16]
    return f"{happening.regarding.name[:NAME_LIMIT].rstrip('.-').lower()}.{digest}"


def _cut(note: str) -> str:
    return note if len(note) <= NOTE_LIMIT else note[: NOTE_LIMIT - 1] + "…"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
