"""The objects of a cluster as a `Source`: nothing is told before everything is known."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random

import msgspec

from osm.core.api.decode import decode
from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import Kind
from osm.core.model.origin import Finding
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.kubernetes.messages import shallow
from osm.kubernetes.reflector import ABSENT_POLL_S, Name, Reflector, Resource
from osm.kubernetes.served import served_version
from osm.kubernetes.slim import slim, sparing
from osm.ports import Change

CONFIRM_S = 3.0
"""A kind that seems not to be served is asked for again before its objects are given up."""
RETRY_S = 2.0
NOT_SERVED = "the cluster does not have this kind"
"""The one problem of `KubernetesSource.problems` that is none: its CRD may come."""


class KubernetesSource:
    """Follows some kinds of objects in all namespaces."""

    def __init__(self, server: ApiServer, kinds: Sequence[Kind], rng: Random) -> None:
        self._server = server
        self._kinds = tuple(kinds)
        self._rng = rng
        self._by_resource: dict[Resource, Kind] = {}
        self._news = asyncio.Event()
        self._waiting = set(self._kinds)
        """Kinds whose objects are not all known yet."""
        self._applied: dict[Key, Manifest] = {}
        self._deleted: set[Key] = set()
        self._findings: dict[Key, tuple[Finding, ...]] = {}
        self.problems: dict[str, str] = {}
        """Kinds that cannot be followed, and why."""
        self.reflectors: dict[str, Reflector] = {}
        """By plural; for those who count."""

    def failing_s(self, now_s: float) -> float:
        """How long nothing was learnt of the kind that fares worst. `now_s` is the loop's clock."""
        since = (each.failing_since for each in self.reflectors.values())
        return max((now_s - each for each in since if each is not None), default=0.0)

    async def watch(self) -> AsyncIterator[Change]:
        """First everything that there is, then each change; changes of one moment are one."""
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(self._follow(kind)) for kind in self._kinds]
            try:
                while True:
                    await self._news.wait()
                    self._news.clear()
                    if not self._waiting:
                        yield self._take()
            finally:
                for follower in followers:
                    follower.cancel()

    def _take(self) -> Change:
        found = tuple(f for key in sorted(self._findings) for f in self._findings[key])
        change = Change(
            tuple(self._applied[key] for key in sorted(self._applied)),
            tuple(sorted(self._deleted)),
            found,
        )
        self._applied, self._deleted = {}, set()
        return change

    # --- what reflectors say

    def changed(
        self, resource: Resource, applied: Mapping[Name, bytes], deleted: frozenset[Name]
    ) -> None:
        """Take objects as JSON. One that cannot be read keeps its last good form."""
        kind = self._by_resource[resource]
        for namespace, name in deleted:
            self._forget(Key(kind.group, kind.kind, namespace, name))
        for content in applied.values():
            self._apply(kind, resource, content)
        self._news.set()

    def synced(self, resource: Resource, problem: str) -> None:
        """A kind is known as well as it can be."""
        kind = self._by_resource[resource]
        self._settle(kind, problem)

    def _settle(self, kind: Kind, problem: str) -> None:
        if problem:
            self.problems[kind.plural] = problem
        else:
            self.problems.pop(kind.plural, None)
        if kind in self._waiting:
            self._waiting.discard(kind)
            self._news.set()

    def _apply(self, kind: Kind, resource: Resource, content: bytes) -> None:
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        about = {"apiVersion": version, "kind": kind.kind}
        try:
            decoded = decode({**slim(msgspec.json.decode(content)), **about})
        except RecursionError:
            decoded = decode({**slim(msgspec.json.decode(shallow(content))), **about})
        key = decoded.key
        if key is None:
            return
        if decoded.findings:
            self._findings[key] = decoded.findings
        else:
            self._findings.pop(key, None)
        if decoded.manifest is not None:
            self._applied[key] = sparing(decoded.manifest)
            self._deleted.discard(key)

    def _forget(self, key: Key) -> None:
        self._findings.pop(key, None)
        self._applied.pop(key, None)
        self._deleted.add(key)

    # --- following

    async def _follow(self, kind: Kind) -> None:
        """Watch a kind for as long as it is served, and wait for it while it is not."""
        reflector: Reflector | None = None
        while True:
            version = await self._served(kind)
            if version is None and reflector is not None:
                await asyncio.sleep(CONFIRM_S)
                version = await self._served(kind)
            if version is None:
                if reflector is not None:
                    reflector.forget()
                    reflector = None
                self._settle(kind, NOT_SERVED)
                await asyncio.sleep(ABSENT_POLL_S * self._rng.uniform(0.8, 1.2))
                continue
            resource = Resource(kind.group, version, kind.plural)
            self._by_resource[resource] = kind
            if reflector is None or reflector.resource != resource:
                reflector = Reflector(self._server, resource, self, self._rng, reflector)
                self.reflectors[kind.plural] = reflector
            await reflector.run()
            await asyncio.sleep(CONFIRM_S)

    async def _served(self, kind: Kind) -> str | None:
        """The newest version of a kind that the server and we know; None when there is none."""
        if kind.group in ("", "apps"):
            return kind.versions[-1]
        while True:
            try:
                return await served_version(self._server, kind)
            except (Status, Unreachable, msgspec.MsgspecError):
                await asyncio.sleep(RETRY_S * self._rng.uniform(0.5, 1.5))
