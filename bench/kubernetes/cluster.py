"""etcd and an API server, and nothing else: no controller looks after pods, so they stay as they are."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from tests.kubernetes.control_plane import ControlPlane

from osm.core.api.crd import custom_resource_definitions
from osm.core.install.names import INJECTOR_SERVICE, VALIDATOR_SERVICE, Installation
from osm.kubernetes.api_server import ApiServer

KINDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROGRAMS = ("etcd", "kube-apiserver")
ESTABLISHED_WITHIN_S = 60
Answer = TypeVar("Answer")
Document = dict[str, Any]


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str


_ESTABLISHED = _Condition("Established", "True")


class _Status(msgspec.Struct, frozen=True):
    conditions: list[_Condition] | None = None


class _Kind(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class _Kinds(msgspec.Struct, frozen=True):
    items: list[_Kind]


class Cluster:
    """A running one. Requests are sent from a thread of its own, so that watches go on meanwhile."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.installation = Installation()
        self._plane = ControlPlane(directory)
        self._running = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server: ApiServer

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self._plane.kubeconfig

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do something in the thread of requests, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something until the cluster ends."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    async def start(self) -> None:
        """Start it, with the mesh's kinds and the control plane's namespace."""
        self._running.push_async_callback(self._plane.stop_all)
        await self._plane.prepare()
        for program in PROGRAMS:
            await self._plane.start(program)
        self.server = ApiServer.open(self.kubeconfig)
        self._running.push_async_callback(self.server.close)
        kinds = custom_resource_definitions()
        await asyncio.gather(*(self.server.request("POST", KINDS_PATH, body=k) for k in kinds))
        async with asyncio.timeout(ESTABLISHED_WITHIN_S):
            while not await self._established():  # noqa: ASYNC110 - a server knows
                await asyncio.sleep(0.1)
        await self._make_way()

    async def _make_way(self) -> None:
        """The control plane's namespace, and how the API server finds its webhooks: on this machine."""
        own = self.installation.namespace
        await self.server.request("POST", "/api/v1/namespaces", body={"metadata": {"name": own}})
        for name in (INJECTOR_SERVICE, VALIDATOR_SERVICE):
            body = {
                "metadata": {"name": name},
                "spec": {"type": "ExternalName", "externalName": "localhost"},
            }
            await self.server.request("POST", f"/api/v1/namespaces/{own}/services", body=body)

    async def _established(self) -> bool:
        """Whether objects of all kinds may be written."""
        kinds = msgspec.json.decode(await self.server.get(KINDS_PATH), type=_Kinds)
        return all(_ESTABLISHED in (kind.status.conditions or ()) for kind in kinds.items)

    def stop(self) -> None:
        """End everything, whatever came of the start."""
        try:
            self.run(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._running.aclose()


@contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """A cluster whose files are in a directory that does not exist yet."""
    made = Cluster(directory)
    try:
        made.run(made.start())
        yield made
    finally:
        made.stop()
