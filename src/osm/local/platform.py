"""The local platform: runs the pods that it is told to run, and tells what becomes of them."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.errors import UsageError
from osm.kit.broadcast import Conflation
from osm.local import proxy
from osm.local.container import Isolation
from osm.local.forward import PortForward
from osm.local.ground import Beyond, Ground, Nothing, Prepare, TakeLine
from osm.local.pod_status import key_of
from osm.local.pods import TEMPLATE_HASH
from osm.local.running_pod import RunningPod, ingress_socket
from osm.local.runtime_directory import RuntimeDirectory
from osm.ports import Change

_INHERITED = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")


def inherited_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What programs get of our own environment: what names a person and a place, no more.

    The directory of our own Python comes first on the PATH, so that `python` means the same there.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _INHERITED or name.startswith("LC_")
    }
    path = environment.get("PATH", os.defpath)
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{path}"}


class _Slot:
    """The place of one pod: what shall run there, and what does."""

    def __init__(self, wanted: Pod, hosts: str) -> None:
        self.wanted: Pod | None = wanted
        self.hosts = hosts
        self.running: RunningPod | None = None
        self.changed = asyncio.Event()

    def still_wants(self, pod: Pod) -> bool:
        """Whether what runs need not be stopped."""
        return self.wanted is not None and _is_same(self.wanted, pod)


class LocalPlatform:
    """Use as an async context manager: at its end, nothing of the mesh runs any longer.

    `prepare` is called before each start of a proxy with the pod and its private directory; it
    writes files there, and gives the arguments for Envoy. `take_line` gets what programs and
    proxies print. `hidden` are directories that programs must not see, besides those of
    running meshes. `beyond` is what pods reach besides the mesh.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        isolation: Isolation,
        runtime: RuntimeDirectory,
        *,
        prepare: Prepare,
        take_line: TakeLine,
        envoy: Path | None = None,
        directory: Path | None = None,
        hidden: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        proxy_ready: Callable[[Path], Awaitable[bool]] = proxy.is_ready,
        beyond: Beyond | None = None,
    ) -> None:
        self._ground = Ground(
            isolation,
            runtime,
            envoy or proxy.envoy_binary(),
            prepare,
            take_line,
            inherited_environment() if environment is None else environment,
            directory or Path.cwd(),
            tuple(str(each) for each in hidden),
            proxy_ready,
            beyond or Nothing(),
        )
        self._slots: dict[Key, _Slot] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: dict[Key, Manifest] = {}
        self._changes: Conflation[Key, Manifest | None] = Conflation()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.apply((), {})
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self._group.__aexit__(None, None, None)

    async def apply(self, pods: Sequence[Pod], hosts: Mapping[str, str]) -> None:
        """Run these pods and no others. `hosts` are the hosts files by Kubernetes namespace.

        Returns at once; what becomes of the pods is seen in `watch`. A pod whose template changed
        is started anew, one of which only labels or names of services changed goes on.
        """
        wanted = {key_of(pod): pod for pod in pods}
        for key in self._slots.keys() - wanted.keys():
            self._want(self._slots[key], None, "")
        for key, pod in wanted.items():
            text = hosts.get(key.namespace, "")
            if key in self._slots:
                self._want(self._slots[key], pod, text)
            else:
                slot = self._slots[key] = _Slot(pod, text)
                task = self._group.create_task(self._tend(key, slot))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def watch(self) -> AsyncIterator[Change]:
        """The pods as an API server would show them: all that there are, then each change."""
        with self._changes.subscribe() as changes:
            yield Change(applied=tuple(self._shown.values()))
            async for key, manifest in changes:
                if manifest is None:
                    yield Change(deleted=(key,))
                else:
                    yield Change(applied=(manifest,))

    @property
    def pods(self) -> Mapping[Key, Manifest]:
        """The pods as they are at this moment."""
        return dict(self._shown)

    async def dial(
        self, namespace: str, name: str, port: int, *, timeout: float = 5.0
    ) -> socket.socket:
        """Connect to a port in a pod, past its proxy. The socket does not block."""
        running = self._running(namespace, name)
        bare = self._ground.isolation is Isolation.NONE
        address = running.pod.status.pod_ip if bare else "127.0.0.1"
        return await running.sandbox.dial(port, address, timeout=timeout)

    def forward(self, namespace: str, name: str, pod_port: int, local_port: int) -> PortForward:
        """A port of this machine that leads to a port of the pod, whichever process serves it."""
        return PortForward(lambda: self.dial(namespace, name, pod_port), local_port)

    def ingress(self, namespace: str, name: str, pod_port: int, local_port: int) -> PortForward:
        """A port of this machine that leads to the pod's proxy, as if from outside of the mesh."""

        async def dial() -> socket.socket:
            place = self.pod_directory(namespace, name) / ingress_socket(pod_port)
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, str(place))
            except OSError:
                connection.close()
                raise
            return connection

        return PortForward(dial, local_port, tell_caller=True)

    async def ask_admin(
        self, namespace: str, name: str, path: str, *, method: str = "GET"
    ) -> tuple[int, bytes]:
        """Ask the admin interface of a pod's proxy; gives status and body."""
        return await proxy.ask_admin(self.pod_directory(namespace, name), path, method=method)

    def pod_directory(self, namespace: str, name: str) -> Path:
        """The private directory of a running pod."""
        return self._running(namespace, name).directory

    def _running(self, namespace: str, name: str) -> RunningPod:
        slot = self._slots.get(Key("", "Pod", namespace, name))
        if slot is None or slot.running is None:
            raise UsageError(f"there is no pod {namespace}/{name}")
        return slot.running

    def _want(self, slot: _Slot, pod: Pod | None, hosts: str) -> None:
        slot.wanted = pod
        if pod is not None:
            slot.hosts = hosts
            if slot.running is not None and _is_same(slot.running.pod, pod):
                slot.running.update(pod, hosts)
        slot.changed.set()

    async def _tend(self, key: Key, slot: _Slot) -> None:
        """Run what is wanted in a slot, until nothing is."""
        while slot.wanted is not None:
            pod = slot.wanted
            running = slot.running = RunningPod(pod, slot.hosts, self._ground, self._show)
            async with asyncio.TaskGroup() as group:
                run = group.create_task(running.run())
                while slot.still_wants(pod):
                    slot.changed.clear()
                    await slot.changed.wait()
                await running.stop()
                run.cancel()
        slot.running = None
        del self._slots[key]
        self._ground.runtime.remove_pod(key.namespace, key.name)
        del self._shown[key]
        self._changes.publish(key, None)

    def _show(self, manifest: Manifest) -> None:
        if self._shown.get(manifest.key) != manifest:
            self._shown[manifest.key] = manifest
            self._changes.publish(manifest.key, manifest)


def _is_same(one: Pod, other: Pod) -> bool:
    """Whether two pods were made from one template, or are equal when nothing says from which."""
    hashes = [pod.metadata.annotations.get(TEMPLATE_HASH) for pod in (one, other)]
    return hashes[0] == hashes[1] if any(hashes) else one == other
