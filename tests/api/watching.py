"""A source on a real API server, and the copy that its changes make."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec
from tests.kubernetes.control_plane import ControlPlane

from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import find_kind
from osm.core.model.origin import Finding
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.source import KubernetesSource


class Copy:
    """What a source has told so far."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.objects: dict[Key, Manifest] = {}
        self.findings: tuple[Finding, ...] = ()
        self.changes = 0
        self.fewest = -1
        """Of the objects after each change since it was last set to -1."""
        self.backwards: list[Key] = []
        """Objects that were told in an older form than before."""
        self.twice: list[Key] = []
        """And in the same."""

    async def follow(self) -> None:
        async for change in self.source.watch():
            for manifest in change.applied:
                before = self.objects.get(manifest.key)
                if before is not None and _version(manifest) < _version(before):
                    self.backwards.append(manifest.key)
                if before is not None and _version(manifest) == _version(before):
                    self.twice.append(manifest.key)
                self.objects[manifest.key] = manifest
            for key in change.deleted:
                self.objects.pop(key, None)
            self.findings = change.findings
            self.changes += 1
            self.fewest = min(len(self.objects), self.fewest if self.fewest >= 0 else 10**9)

    def names(self, kind: str, namespace: str) -> list[str]:
        """Of the objects of a kind in a namespace."""
        return sorted(
            key.name for key in self.objects if (key.kind, key.namespace) == (kind, namespace)
        )


def _version(manifest: Manifest) -> int:
    return int(manifest.object.metadata.resource_version)


@asynccontextmanager
async def watching(kubeconfig: Path, kinds: Sequence[str]) -> AsyncIterator[Copy]:
    """Follow some kinds."""
    server = ApiServer.open(kubeconfig)
    found = [kind for kind in map(find_kind, kinds) if kind is not None]
    copy = Copy(KubernetesSource(server, found, Random(1)))
    task = asyncio.create_task(copy.follow())
    try:
        yield copy
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()


async def in_the_cluster(cluster: ControlPlane, plural: str, namespace: str) -> dict[str, int]:
    """Names and versions as the API server has them."""

    class Metadata(msgspec.Struct, rename="camel"):
        name: str
        resource_version: str

    class Item(msgspec.Struct):
        metadata: Metadata

    class Items(msgspec.Struct):
        items: list[Item]

    text = await cluster.kubectl("get", plural, "-n", namespace, "-o", "json")
    found = msgspec.json.decode(text, type=Items)
    return {item.metadata.name: int(item.metadata.resource_version) for item in found.items}
