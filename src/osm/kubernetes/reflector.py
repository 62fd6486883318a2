"""Keeps a copy of one kind of object as an API server has it, whatever API servers do.

A list, then watches from where it was. The copy never shrinks because a watch broke or a server was
behind: what is gone is gone only when a list that is newer says so. See docs/reference/cluster-faults.md.
"""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Protocol

import msgspec
import structlog

from osm.kit.backoff import Backoff
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.kubernetes.messages import Event, Object, Page, decoded

log = structlog.get_logger("osm.kubernetes")

Name = tuple[str, str]
"""Namespace and name."""

PAGE = 500
WATCH_S = (35.0, 45.0)
"""A watch ends after so long, drawn anew for each, and goes on from where it was."""
CAUTIOUS_S = 8.0
"""How long the first watch lasts after one that was cut."""
SILENCE_S = 8.0
"""How much later than that a watch must have ended; else its connection is dead."""
LIST_PAUSE_S = 5.0
"""Between two lists of one kind, but for the first."""
ABSENT_POLL_S = 15.0
"""How often it is asked for a kind that nobody serves: its CRD may come."""
STALE_LIMIT_S = 12.0
"""A list that is older than what was seen is that of a server behind the others; after so long of
nothing else, the cluster was restored from a backup."""
GONE = 410
NOT_FOUND = 404
FORBIDDEN = (401, 403)
UNPROCESSABLE = (400, 422)


class Resource(msgspec.Struct, frozen=True, order=True):
    """What is watched: all objects of a kind, in all namespaces."""

    group: str
    version: str
    plural: str

    @property
    def path(self) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/{self.plural}"


class Sink(Protocol):
    """Is told what changed. Objects are JSON, as the server sent them."""

    def changed(
        self, resource: Resource, applied: Mapping[Name, bytes], deleted: frozenset[Name]
    ) -> None: ...

    def synced(self, resource: Resource, problem: str) -> None:
        """The copy is whole; or, with a problem, it is as whole as it can be for now."""
        ...


class _Stale(Exception):
    """A server answered that is behind what was already seen."""


class Known(msgspec.Struct, frozen=True):
    """The form of an object that was told to the sink."""

    uid: str
    version: int


class Reflector:
    """`run` belongs to a task. `before`: one that followed the same kind in another version, whose
    copy is taken over. `selector`: `labelSelector` or `fieldSelector`, when not all are followed.
    """

    def __init__(
        self,
        server: ApiServer,
        resource: Resource,
        sink: Sink,
        rng: Random,
        before: "Reflector | None" = None,
        selector: Mapping[str, str] | None = None,
    ) -> None:
        self.resource = resource
        self._selector = dict(selector or {})
        self.lists = 0
        """How many lists were asked for."""
        self.failing_since: float | None = None
        """Of the loop's clock: since when nothing was learnt of this kind."""
        self._server = server
        self._sink = sink
        self._rng = rng
        self.known: dict[Name, Known] = before.known if before else {}
        """The copy, as far as it was told to the sink."""
        self._version = 0
        """Watches go on from here; 0: a list must come first."""
        self._newest = 0
        """The newest version that was seen of this kind."""
        self._streams = True
        """Whether the server can send a list as a watch."""
        self._listed_at = -LIST_PAUSE_S
        self._stale_since: float | None = None
        self._was_cut = False
        """The last watch was: whoever is there now may have been restored from a backup."""
        self._failures = 0
        self._backoff = Backoff(base_s=0.5, ceiling_s=LIST_PAUSE_S)

    async def run(self) -> None:
        """Keep the copy until cancelled, or until the server says that it has no such kind."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if not self._version:
                    await self._list(loop)
                await self._watch(loop)
                self._failures = 0
            except Status as status:
                if status.code == NOT_FOUND:
                    return
                await self._take_refusal(status)
            except _Stale:
                await asyncio.sleep(LIST_PAUSE_S / 2)
            except (Unreachable, TimeoutError, msgspec.MsgspecError) as error:
                self._was_cut = True
                if isinstance(error, Unreachable) and error.refused:
                    self._version = 0  # maybe with a restored backup that has caught up since
                log.debug("watch failed", resource=self.resource.plural, error=str(error))
                await self._pause()

    def forget(self) -> None:
        """The kind is not served any more, and its objects are gone with it."""
        self._version, self._newest, self.failing_since = 0, 0, None
        self._replace({})

    async def _take_refusal(self, status: Status) -> None:
        if status.code == GONE:
            self._version = 0
        elif status.code in FORBIDDEN:
            self._sink.synced(self.resource, status.message)
            await asyncio.sleep(ABSENT_POLL_S * self._rng.uniform(0.8, 1.2))
        elif status.code in UNPROCESSABLE and self._streams and not self._version:
            self._streams = False  # an older server: lists come in pages
        else:
            log.warning("refused", resource=self.resource.plural, status=str(status))
            await self._pause(status.retry_after_s)

    async def _pause(self, at_least_s: float = 0.0) -> None:
        self.failing_since = self.failing_since or asyncio.get_running_loop().time()
        delay = self._backoff.delay_s(self._failures, self._rng)
        self._failures += 1
        await asyncio.sleep(max(delay, at_least_s, 0.1))

    # --- lists

    async def _list(self, loop: asyncio.AbstractEventLoop) -> None:
        if (early := self._listed_at + LIST_PAUSE_S - loop.time()) > 0:
            await asyncio.sleep(early)
        self._listed_at = loop.time()
        self.lists += 1
        async with asyncio.timeout(10 * SILENCE_S):
            found, version = await (self._streamed() if self._streams else self._paged())
        if version < self._newest:
            self._check_restored(loop)
        self._stale_since = self.failing_since = None
        self._replace(found)
        self._version = self._newest = version
        self._sink.synced(self.resource, "")

    def _check_restored(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise `_Stale` while an older list may be that of a server behind the others."""
        now = loop.time()
        self._stale_since = self._stale_since or now
        if now - self._stale_since < STALE_LIMIT_S:
            log.warning("an API server is behind", resource=self.resource.plural)
            raise _Stale
        log.warning("the cluster was restored", resource=self.resource.plural)
        self.known = {name: Known(known.uid, 0) for name, known in self.known.items()}

    async def _streamed(self) -> tuple[dict[Name, bytes], int]:
        """The list as a watch that begins with everything: neither side holds it all at once."""
        found: dict[Name, bytes] = {}
        async with self._server.watch(
            self.resource.path,
            **self._selector,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
            timeoutSeconds=str(int(10 * SILENCE_S)),
        ) as lines:
            async for line in lines:
                event = decoded(line, Event)
                said = msgspec.json.decode(event.object, type=Object)
                meta = said.metadata
                match event.type:
                    case "BOOKMARK":
                        if meta.annotations.get("k8s.io/initial-events-end") == "true":
                            return found, int(meta.resource_version)
                    case "ERROR":
                        raise Status(said.code, said.reason, said.message)
                    case "DELETED":
                        found.pop((meta.namespace, meta.name), None)
                    case _:
                        found[meta.namespace, meta.name] = bytes(event.object)
        raise Unreachable(EOFError("the list has no end"))

    async def _paged(self) -> tuple[dict[Name, bytes], int]:
        found: dict[Name, bytes] = {}
        token = ""
        while True:
            parameters = {"limit": str(PAGE), **self._selector}
            if token:
                parameters["continue"] = token
            page = decoded(await self._server.get(self.resource.path, **parameters), Page)
            for item in page.items:
                meta = msgspec.json.decode(item, type=Object).metadata
                found[meta.namespace, meta.name] = bytes(item)
            token = page.metadata.continue_
            if not token:
                return found, int(page.metadata.resource_version)

    def _replace(self, found: Mapping[Name, bytes]) -> None:
        """Tell the sink how a list differs from what is known."""
        applied: dict[Name, bytes] = {}
        known: dict[Name, Known] = {}
        for name, content in found.items():
            meta = msgspec.json.decode(content, type=Object).metadata
            known[name] = Known(meta.uid, int(meta.resource_version or 0))
            if known[name] != self.known.get(name):
                applied[name] = content
        deleted = frozenset(self.known.keys() - known.keys())
        self.known = known
        if applied or deleted:
            self._sink.changed(self.resource, applied, deleted)

    # --- watches

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        seconds = CAUTIOUS_S if self._was_cut else self._rng.uniform(*WATCH_S)
        started, heard = loop.time(), False
        async with (
            asyncio.timeout(seconds + SILENCE_S),
            self._server.watch(
                self.resource.path,
                **self._selector,
                resourceVersion=str(self._version),
                allowWatchBookmarks="true",
                timeoutSeconds=str(int(seconds)),
            ) as lines,
        ):
            self.failing_since = None
            self._sink.synced(self.resource, "")  # what was missed while it was forbidden comes now
            async for line in lines:
                heard = True
                self._take(decoded(line, Event))
        self._was_cut = False
        if loop.time() - started < 1.0:
            await self._pause()  # a server that ends each watch at once
        elif not heard:
            await self._check_ahead()  # it should have ended with a bookmark

    async def _check_ahead(self) -> None:
        """Have a list when the server is not as far as what was seen. A watch would say nothing."""
        body = await self._server.get(self.resource.path, **self._selector, limit="1")
        version = int(decoded(body, Page).metadata.resource_version)
        if version < self._version:
            self._version = 0

    def _take(self, event: Event) -> None:
        said = msgspec.json.decode(event.object, type=Object)
        if event.type == "ERROR":
            raise Status(said.code, said.reason, said.message)
        meta = said.metadata
        version = int(meta.resource_version or 0)
        self._version = max(self._version, version)
        self._newest = max(self._newest, version)
        if event.type == "BOOKMARK":
            return
        name = (meta.namespace, meta.name)
        known = self.known.get(name)
        if known is not None and version < known.version:
            return  # told again by a server that is behind
        if event.type == "DELETED":
            if known is not None:
                del self.known[name]
                self._sink.changed(self.resource, {}, frozenset({name}))
            return
        now = Known(meta.uid, version)
        if now != known:
            self.known[name] = now
            self._sink.changed(self.resource, {name: bytes(event.object)}, frozenset())
