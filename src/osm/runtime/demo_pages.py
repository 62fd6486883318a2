"""What applications show of themselves on this machine: forwarded pages, and counters.

Asked for by annotations of a pod's template (`osm.core.compile.local_annotations`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key
from osm.core.compile.local_annotations import COUNTERS, FORWARD, INGRESS
from osm.local.forward import PortForward
from osm.local.platform import LocalPlatform

INTERVAL_S = 1.0


class DemoPages:
    """Keeps port forwards for the pods that want one, and reads the counters of those that have any."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._forwards: dict[Key, list[PortForward]] = {}
        self.addresses: dict[tuple[str, str], str] = {}
        """Pages by namespace and pod."""
        self.counters: dict[str, tuple[tuple[str, int], ...]] = {}
        """Counters by `<namespace>/<pod>`."""

    async def show(self, key: Key, pod: Pod) -> None:
        """A pod runs: forward what it wants to have forwarded, if that was not done yet."""
        if key in self._forwards:
            return
        forwards = self._forwards[key] = []
        # The last one that there is becomes the page.
        for annotation, make in (
            (INGRESS, self._platform.ingress),
            (FORWARD, self._platform.forward),
        ):
            local, _, port = pod.metadata.annotations.get(annotation, "").partition(":")
            if not (local.isdecimal() and port.isdecimal()):
                continue
            forward = make(key.namespace, key.name, int(port), int(local))
            forwards.append(await forward.__aenter__())
            self.addresses[key.namespace, key.name] = f"http://127.0.0.1:{forward.local_port}/"

    async def hide(self, key: Key) -> None:
        """A pod is gone."""
        self.addresses.pop((key.namespace, key.name), None)
        self.counters.pop(f"{key.namespace}/{key.name}", None)
        for forward in self._forwards.pop(key, ()):
            await forward.__aexit__(None, None, None)

    async def close(self) -> None:
        for key in list(self._forwards):
            await self.hide(key)

    async def read_counters(self) -> None:
        """Ask for the counters once a second, until cancelled."""
        while True:
            pods = [m.object for m in self._platform.pods.values() if isinstance(m.object, Pod)]
            await asyncio.gather(*(self._read(pod) for pod in pods))
            await asyncio.sleep(INTERVAL_S)

    async def _read(self, pod: Pod) -> None:
        port, _, path = pod.metadata.annotations.get(COUNTERS, "").partition("/")
        if not port.isdecimal():
            return
        namespace, name = pod.metadata.namespace, pod.metadata.name
        with suppress(Exception):  # it starts, ends or answers nonsense: there is nothing to show
            values = json.loads(
                await _get(lambda: self._platform.dial(namespace, name, int(port)), f"/{path}")
            )
            self.counters[f"{namespace}/{name}"] = tuple(
                sorted((str(key), value) for key, value in values.items() if type(value) is int)
            )


async def _get(dial: Callable[[], Awaitable[socket]], path: str) -> bytes:
    async with asyncio.timeout(1):
        reader, writer = await asyncio.open_connection(sock=await dial())
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = await reader.read(-1)
        finally:
            writer.close()
    return answer.partition(b"\r\n\r\n")[2]
