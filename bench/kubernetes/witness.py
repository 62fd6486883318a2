"""A plain watch beside the controller's: it tells how much of a change's time is the API server's."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from bench.kubernetes.cluster import Cluster
from osm.kubernetes.messages import Event, Object, Page

LIMIT_S = 30.0
WATCH_S = 3600
"""Longer than any run: nothing that happens may fall between two watches."""


class Witness:
    """Notes when each form of an object came out of a watch, by its version, which is etcd's."""

    def __init__(self, cluster: Cluster, paths: Sequence[str]) -> None:
        self._server = cluster.server
        self._seen: dict[str, int] = {}
        for path in paths:
            version = cluster.run(self._version(path))
            cluster.spawn(self._watch(path, version))

    async def _version(self, path: str) -> str:
        body = await self._server.get(path, limit="1")
        return msgspec.json.decode(body, type=Page).metadata.resource_version

    async def _watch(self, path: str, version: str) -> None:
        async with self._server.watch(
            path, resourceVersion=version, timeoutSeconds=str(WATCH_S)
        ) as lines:
            async for line in lines:
                at = time.monotonic_ns()
                event = msgspec.json.decode(line, type=Event)
                said = msgspec.json.decode(event.object, type=Object)
                self._seen[said.metadata.resource_version] = at
                await asyncio.sleep(0)

    def saw(self, version: str) -> int:
        """When a form of an object was seen, on the monotonic clock in ns; waits for it."""
        deadline = time.monotonic() + LIMIT_S
        while version not in self._seen:
            if time.monotonic() > deadline:
                raise RuntimeError(f"a plain watch has not seen version {version}")
            time.sleep(0.01)
        return self._seen[version]
