"""What the proxies of each replica refuse, told to the replica that writes: by a ConfigMap.

It has a key for each replica whose proxies refuse something. Such a replica writes its key anew every
few seconds, and one that does not any more counts for nothing after `RefusalTimes.lasts_s`, by the
clock of the one who reads. Where nothing is refused nothing is written. Who leads makes the ConfigMap,
reads it every two seconds (a watch could be dead without a word, and then nobody would seem to be
there), and removes the keys of those who have gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random

import msgspec

from osm.core.install.labels import selecting
from osm.core.install.names import Installation
from osm.core.status.refused import RefusedObject, Told, decoded, encoded
from osm.kit.backoff import Backoff
from osm.kit.work_queue import Again, WorkQueue
from osm.kubernetes.api_server import MERGE, ApiServer, Status
from osm.kubernetes.lease import since_boot_s
from osm.kubernetes.writing import (
    CONFLICT,
    FAILURES,
    NOT_FOUND,
    Write,
    again_after,
    server_side_apply,
)

WHAT = "what proxies refuse"
TOO_MANY = 429


class RefusalTimes(msgspec.Struct, frozen=True):
    """In seconds: `renew_s` is less than half of `lasts_s`, so that one write may fail. No request takes
    longer than that.
    """

    look_s: float = 1.0
    """Between two looks at what a replica's own proxies refuse."""
    pause_s: float = 2.0
    """From one write to the next, whatever proxies do."""
    renew_s: float = 5.0
    lasts_s: float = 15.0
    """What nobody renewed for so long is not so any more."""
    read_s: float = 2.0


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _ConfigMap(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    data: dict[str, str] | None = None


class _Seen(msgspec.Struct, frozen=True):
    """What a replica told, and when that was seen first."""

    text: str
    told: Told
    since_s: float


def _queue(
    work: Callable[[str], Awaitable[Again]], rng: Random, times: RefusalTimes
) -> WorkQueue[str]:
    """Of one key. Who comes back after a failure must be heard before the others take it for gone."""
    return WorkQueue[str](work, rng, backoff=Backoff(base_s=0.5, ceiling_s=times.renew_s))


class RefusalsTold:
    """Tells what the proxies of this replica refuse. Belongs to one event loop; `run` to a task.

    The last word stays when it ends: its proxies go to other replicas, and may refuse the same there.
    """

    def __init__(
        self,
        server: ApiServer,
        installation: Installation,
        replica: str,
        refused: Callable[[], Sequence[RefusedObject]],
        rng: Random,
        times: RefusalTimes,
    ) -> None:
        self._write = server.request
        self._path = path_of(installation)
        self._replica = replica
        self._refused = refused
        self._times = times
        self._said: Sequence[RefusedObject] = ()
        self._said_at = 0.0
        self._is_there = False
        """Whether our key may be there."""
        self._queue = _queue(self._look, rng, times)

    async def run(self) -> None:
        """Tell until cancelled."""
        self._queue.put(self._replica)
        await self._queue.run()

    async def _look(self, _: str) -> Again:
        refused = self._refused()
        if self._is_said(refused):
            return Again(self._times.look_s, failed=False)
        started = since_boot_s()
        try:
            async with asyncio.timeout(self._times.renew_s):
                await self._tell(refused)
        except FAILURES as error:
            if isinstance(error, Status) and error.code == NOT_FOUND:
                self._is_there = False
                return Again()  # who leads makes it
            return again_after(error, WHAT)
        self._said, self._said_at = refused, started
        self._is_there = bool(refused)
        return Again(self._times.pause_s, failed=False)

    def _is_said(self, refused: Sequence[RefusedObject]) -> bool:
        if not refused:
            return not self._is_there
        is_fresh = since_boot_s() - self._said_at < self._times.renew_s
        return self._is_there and refused == self._said and is_fresh

    async def _tell(self, refused: Sequence[RefusedObject]) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text = encoded(refused, now) if refused else None
        self._is_there = True  # also when the answer is lost
        await self._write("PATCH", self._path, None, {"data": {self._replica: text}}, MERGE)


class RefusalsHeard:
    """Hears what other replicas tell, for one time of leading. `run` belongs to a task."""

    def __init__(
        self,
        server: ApiServer,
        write: Write,
        installation: Installation,
        replica: str,
        rng: Random,
        times: RefusalTimes,
        *,
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        """`replica` is this one, of which nothing need be heard."""
        self._server = server
        self._write = write
        self._installation = installation
        self._path = path_of(installation)
        self._replica = replica
        self._times = times
        self._on_news = on_news
        self._seen: dict[str, _Seen] = {}
        self._others: dict[str, Told] = {}
        self.is_settled = False
        """Whether it is known what others say, or that it cannot be known."""
        self._queue = _queue(self._look, rng, times)

    @property
    def others(self) -> Mapping[str, Told]:
        """What each of them told and still counts. It stays as it is while nothing can be read."""
        return self._others

    async def run(self) -> None:
        """Hear until cancelled."""
        self._queue.put(self._replica)
        await self._queue.run()

    async def _look(self, _: str) -> Again:
        try:
            async with asyncio.timeout(self._times.renew_s):
                found = await self._read()
                self._take(found.data or {})
                await self._forget_gone(found)
        except FAILURES as error:
            if _will_stay(error):
                self._settle()
            return again_after(error, WHAT)
        return Again(self._times.read_s, failed=False)

    async def _read(self) -> _ConfigMap:
        try:
            body = await self._server.get(self._path)
        except Status as status:
            if status.code != NOT_FOUND:
                raise
            body = await server_side_apply(self._write, self._path, self._document())
        return msgspec.json.decode(body, type=_ConfigMap)

    def _document(self) -> dict[str, object]:
        here = self._installation
        labels = dict(selecting(here.mesh))
        metadata = {"name": here.refusals, "namespace": here.namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    def _take(self, data: Mapping[str, str]) -> None:
        now = since_boot_s()
        before, self._seen = self._seen, {}
        for replica, text in data.items():
            known = before.get(replica)
            if known is None or known.text != text:
                known = _Seen(text, decoded(text), now)
            self._seen[replica] = known
        others = {
            replica: msgspec.structs.replace(seen.told, renewed="")
            for replica, seen in self._seen.items()
            if replica != self._replica and now - seen.since_s < self._times.lasts_s
        }
        if others != self._others:
            self._others = others
            self._on_news()
        self._settle()

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            self._on_news()

    async def _forget_gone(self, found: _ConfigMap) -> None:
        """Remove the keys of replicas that renew them no more: none of this moment's versions."""
        now = since_boot_s()
        gone = {
            replica: None
            for replica, seen in self._seen.items()
            if now - seen.since_s >= self._times.lasts_s
        }
        if gone:
            only = {"resourceVersion": found.metadata.resource_version}
            await self._write("PATCH", self._path, None, {"metadata": only, "data": gone}, MERGE)


def _will_stay(error: Exception) -> bool:
    """Whether it is no use to wait for another answer: rights that are missing, say."""
    if isinstance(error, Status):
        return error.code < 500 and error.code not in (CONFLICT, TOO_MANY)
    return isinstance(error, msgspec.MsgspecError)


def path_of(installation: Installation) -> str:
    """Where the ConfigMap is in an API server."""
    return f"/api/v1/namespaces/{installation.namespace}/configmaps/{installation.refusals}"
