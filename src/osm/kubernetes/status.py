"""Writes what the mesh says of an object into its `status`, and nothing else of it.

Only what differs is written, by server-side apply to the `/status` subresource. The watch shows each
write again; it is then the same, and that is the end of it. A kind whose schema has no room for our
status counts as one without.
"""

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec

from osm.core.api.crd import defined_kinds
from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import Kind
from osm.core.model.origin import Finding, Severity
from osm.core.status.wanted import Present, Status, wanted_status
from osm.kit.backoff import Backoff
from osm.kit.pace import Pace
from osm.kit.work_queue import Again, WorkQueue
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.api_server import Status as Refusal
from osm.kubernetes.messages import decoded
from osm.kubernetes.status_paths import LACKING_S, StatusPaths
from osm.kubernetes.writing import (
    FAILURES,
    NOT_FOUND,
    Write,
    again_after,
    server_side_apply,
)

WRITES_PER_S = 20.0
"""Of all objects together."""
OFTEN = (5, 10.0)
"""One object, so many times in so many seconds."""
SAME_OFTEN = (3, 60.0)
"""The same status of the same object: somebody else takes it away again."""
NO_ROOM = "field not declared in schema"
"""What an API server says to a field that a CRD does not have."""
MISTYPED = "typed live object"
"""What is stored contradicts its schema, which is newer: server-side apply is refused whatever it says."""

_KINDS: Mapping[tuple[str, str], Kind] = {(k.group, k.kind): k for k in defined_kinds()}


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    uid: str = ""
    generation: int = 0
    resource_version: str = "0"


class _Stored(msgspec.Struct, frozen=True):
    """An object as the API server has it, as far as its status depends on it."""

    metadata: _Metadata = _Metadata()
    status: dict[str, Any] | None = None

    @property
    def present(self) -> Present:
        return Present(self.metadata.generation, self.status or {})


class _Known(msgspec.Struct, frozen=True):
    manifest: Manifest | None
    findings: tuple[Finding, ...]


class StatusWriter:
    """Belongs to one event loop, for one time of leading. `run` belongs to a task."""

    def __init__(
        self,
        server: ApiServer,
        write: Write,
        rng: Random,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        same_often: tuple[int, float] = SAME_OFTEN,
    ) -> None:
        self._server = server
        self._write = write
        self._now = now
        self._known: dict[Key, _Known] = {}
        self._written: dict[Key, _Stored] = {}
        """What the API server answered to the last write of each object."""
        self._said: dict[Key, Status] = {}
        """What that write said, without times."""
        self._mistyped: set[Key] = set()
        self._paths = StatusPaths(server, _loop_time)
        self._pace = Pace[Key](*OFTEN, _loop_time)
        self._same_pace = Pace[Key](*same_often, _loop_time)
        self._turn_s = 0.0
        backoff = Backoff(base_s=0.2, ceiling_s=30.0)
        self.queue = WorkQueue[Key](self._look, rng, backoff=backoff)

    def want(
        self,
        objects: Mapping[Key, Manifest],
        findings: Mapping[Key | None, tuple[Finding, ...]],
        namespaces: AbstractSet[str],
    ) -> None:
        """Take what is known now, all of it; what may have to be written is looked at soon."""
        known = {
            key: _Known(objects.get(key), findings.get(key, ()))
            for key in (*objects, *findings)
            if key is not None and (key.group, key.kind) in _KINDS and key.namespace in namespaces
        }
        for key in self._known.keys() - known.keys():
            self._forget(key)
        for key, now in known.items():
            before = self._known.get(key)
            if (
                before is None
                or before.manifest is not now.manifest
                or before.findings != now.findings
            ):
                self.queue.put(key)
        self._known = known

    def lacks_status(self, key: Key) -> bool:
        """Whether it is known that this object, or all of its kind, cannot have a status."""
        kind = _KINDS.get((key.group, key.kind))
        return kind is None or self._paths.lacks(kind) or key in self._mistyped

    async def run(self) -> None:
        """Write until cancelled."""
        await self.queue.run()

    def _forget(self, key: Key) -> None:
        self.queue.drop(key)
        self._written.pop(key, None)
        self._said.pop(key, None)
        self._mistyped.discard(key)
        self._pace.forget(key)
        self._same_pace.forget(key)

    async def _look(self, key: Key) -> Again | None:
        try:
            return await self._compare(key)
        except FAILURES as error:
            kind = _KINDS[key.group, key.kind]
            if isinstance(error, Refusal) and error.code == NOT_FOUND:
                # The object is gone, as the watch will say; or its kind has another form now.
                self._paths.forget(kind)
                return Again()
            if isinstance(error, Refusal) and NO_ROOM in error.message:
                self._paths.has_no_room(kind)
                return Again(LACKING_S, failed=False)
            if isinstance(error, Refusal) and MISTYPED in error.message:
                self._mistyped.add(key)
                return Again(LACKING_S, failed=False)
            return again_after(error, f"status of {key}")

    async def _compare(self, key: Key) -> Again | None:
        known, kind = self._known.get(key), _KINDS[key.group, key.kind]
        if known is None:
            return None
        api_version = await self._paths.api_version(kind)
        if api_version is None:
            return Again(LACKING_S, failed=False)
        path = f"/apis/{api_version}/namespaces/{key.namespace}/{kind.plural}/{key.name}"
        stored = await self._stored(key, known, path)
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        status = wanted_status(kind, stored.present, known.findings, now)
        if status is None:
            return None
        said = _without_times(status)
        if said != self._said.get(key):
            self._same_pace.forget(key)
        if wait := max(self._pace.wait_s(key), self._same_pace.wait_s(key)):
            return Again(wait, failed=False)
        await self._turn()
        self._pace.take(key)
        self._same_pace.take(key)
        body = _body(key, kind, api_version, stored, status)
        answer = await server_side_apply(self._write, f"{path}/status", body)
        if key in self._known:  # and not forgotten meanwhile
            self._written[key] = decoded(answer, _Stored)
            self._said[key] = said
            self._mistyped.discard(key)
        return None

    async def _stored(self, key: Key, known: _Known, path: str) -> _Stored:
        """The newest form that we know. One with an error may be one that could not be read, so that
        its last good form is known here: the API server is asked.
        """
        manifest = known.manifest
        if manifest is None or any(f.severity is Severity.ERROR for f in known.findings):
            return decoded(await self._server.get(path), _Stored)
        seen = msgspec.convert(
            {name: manifest.raw.get(name) for name in ("metadata", "status")}, type=_Stored
        )
        written = self._written.get(key)
        if written is None or written.metadata.uid != seen.metadata.uid:
            return seen
        is_newer = int(seen.metadata.resource_version) > int(written.metadata.resource_version)
        return seen if is_newer else written

    async def _turn(self) -> None:
        """All objects together take turns."""
        now = _loop_time()
        turn = max(self._turn_s, now)
        self._turn_s = turn + 1 / WRITES_PER_S
        await asyncio.sleep(turn - now)


def _body(
    key: Key, kind: Kind, api_version: str, stored: _Stored, status: Status
) -> dict[str, object]:
    metadata = {"name": key.name, "namespace": key.namespace}
    if stored.metadata.uid:
        # One of the same name that came meanwhile is another object: a conflict.
        metadata["uid"] = stored.metadata.uid
    return {"apiVersion": api_version, "kind": kind.kind, "metadata": metadata, "status": status}


def _without_times(status: Status) -> Status:
    conditions = [
        {name: value for name, value in each.items() if name != "lastTransitionTime"}
        for each in status["conditions"]
    ]
    return {**status, "conditions": conditions}


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
