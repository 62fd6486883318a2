"""Somebody who follows a source's changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from osm.core.api.manifest import Key, Manifest
from osm.core.model.origin import Finding
from osm.local.files import FileSource
from osm.ports import Change


def written(name: str, label: str = "x") -> str:
    """An object whose label tells its versions apart."""
    metadata = f"metadata:\n  name: {name}\n  labels: {{l: {label}}}\n"
    return f"apiVersion: v1\nkind: ServiceAccount\n{metadata}"


def account(name: str) -> Key:
    """The key of such an object."""
    return Key("", "ServiceAccount", "default", name)


class Watched:
    """What somebody who follows a source's changes knows."""

    def __init__(self) -> None:
        self.objects: dict[Key, Manifest] = {}
        self.findings: tuple[Finding, ...] = ()
        self.changes: list[Change] = []
        self.news = asyncio.Event()

    async def follow(self, source: FileSource) -> None:
        """Take every change, until cancelled."""
        async for change in source.watch():
            self.take(change)
            self.news.set()

    def take(self, change: Change) -> None:
        """Take one change."""
        self.changes.append(change)
        for manifest in change.applied:
            self.objects[manifest.key] = manifest
        for key in change.deleted:
            del self.objects[key]
        self.findings = change.findings

    @property
    def labels(self) -> dict[str, str]:
        return {key.name: m.object.metadata.labels["l"] for key, m in self.objects.items()}

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]

    async def until(self, labels: dict[str, str], codes: Sequence[str] = ()) -> None:
        """Wait for a state."""
        async with asyncio.timeout(5):
            while (self.labels, self.codes) != (labels, list(codes)):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def watching(source: FileSource) -> AsyncIterator[Watched]:
    watched = Watched()
    task = asyncio.create_task(watched.follow(source))
    try:
        async with asyncio.timeout(5):
            await watched.news.wait()
        await asyncio.sleep(0.05)
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
