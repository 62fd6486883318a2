"""A whole mesh on this machine: files in, processes with proxies out, one control plane between."""

from asyncio import Event
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from socket import socket

import msgspec

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key
from osm.core.compile.snapshot import Snapshot
from osm.core.model.identity import Identity, ProxyIdentity
from osm.errors import OsmError
from osm.kit.clock import SystemClock
from osm.local.files import FileSource
from osm.local.ground import Prepare
from osm.local.mode import Mode, Wish, detect_mode
from osm.local.output import Logs
from osm.local.plan import Addresses, compiled_objects, make_plan
from osm.local.platform import LocalPlatform
from osm.local.proxy import ADMIN_SOCKET
from osm.local.runtime_directory import RuntimeDirectory
from osm.ports import Change
from osm.runtime.collector import tune_collector
from osm.runtime.control_core import ControlCore
from osm.runtime.demo_pages import DemoPages
from osm.runtime.logs import send_logs_to
from osm.runtime.mesh_api import WINDOW_S, MeshFacts, MeshParts, RunningMeshApi
from osm.runtime.placed import placed
from osm.runtime.serving import open_doors
from osm.runtime.settings import (
    ADS_SOCKET,
    CONTROL_PLANE_LOG,
    CONTROL_SOCKET,
    GATEWAY_SOCKET,
    TRUST_DOMAIN,
    state_directory,
)
from osm.runtime.tasks import BackgroundTasks, background_tasks
from osm.runtime.way_out import WayOut
from osm.telemetry.scraper import Scraper
from osm.telemetry.traffic import TrafficWindow

Observer = Callable[[str, str, str], None]
"""Told of each step of the start: name, state (`starting`, `ready`, `failed`), a few words."""


class LocalMeshSettings(msgspec.Struct, frozen=True):
    """`paths` are files and directories of YAML; new objects go to the first directory."""

    mesh: str
    paths: tuple[Path, ...]
    isolation: str = "auto"
    page_port: int = 0
    leaf_validity: timedelta | None = None
    """Of workloads' certificates; what MeshConfig says when it is not given."""
    state_directory: Path | None = None
    """Where the root certificate is kept; the user's own place when it is not given."""
    former_mesh: str = ""
    """As in `CompileOptions`: proxies with certificates like OSM's may call, and be called."""

    @property
    def state(self) -> Path:
        return self.state_directory or state_directory(self.mesh)


class LocalMesh:
    """A mesh that runs in this process."""

    def __init__(self, api: RunningMeshApi, platform: LocalPlatform) -> None:
        self.api = api
        self._platform = platform

    async def dial(self, namespace: str, workload: str, port: int) -> socket:
        """Connect to a port of a workload, past its proxy, as its readiness probes do."""
        return await self._platform.dial(namespace, workload, port)

    async def stopped(self) -> str:
        """Wait until something else ends the mesh, and say what."""
        return await self.api.stopped


@asynccontextmanager
async def run_local_mesh(
    settings: LocalMeshSettings, observe: Observer
) -> AsyncIterator[LocalMesh]:
    """Start everything; at the end of the context nothing of it is left."""
    tune_collector()
    async with AsyncExitStack() as stack:
        runtime = stack.enter_context(RuntimeDirectory(settings.mesh))
        logs = Logs()
        send_logs_to(lambda text, error: logs.add(*CONTROL_PLANE_LOG, text, error=error))
        clock = SystemClock()
        mode = await detect_mode(Wish(settings.isolation))
        group = await stack.enter_async_context(background_tasks())

        observe("control plane", "starting", "")
        core = await ControlCore.open(
            settings.mesh,
            settings.state,
            f"unix:{runtime.path / ADS_SOCKET}",
            clock=clock,
            leaf_validity=settings.leaf_validity,
            gateway=str(runtime.path / GATEWAY_SOCKET) if mode.transparent else "",
            former_mesh=settings.former_mesh,
        )
        await core.start(group)
        observe("control plane", "ready", mode.reason)

        way_out = WayOut(lambda: core.control_plane.model)
        if mode.transparent:
            await stack.enter_async_context(way_out.gateway(runtime.path / GATEWAY_SOCKET))
        platform = await stack.enter_async_context(
            LocalPlatform(
                mode.isolation,
                runtime,
                prepare=_preparation(core),
                take_line=lambda *line: logs.add(*line[:4], error=line[4]),
                hidden=(settings.state,),
                beyond=way_out,
            )
        )
        way_out.platform = platform
        pages = DemoPages(platform)
        stack.push_async_callback(pages.close)
        directory = _own_directory(settings)
        source = FileSource(settings.paths, directory=directory)
        traffic = TrafficWindow(WINDOW_S)
        facts = MeshFacts(
            mesh=settings.mesh,
            platform=f"local: {mode.reason}",
            directory=str(directory),
            started=clock.now(),
            pages=pages.addresses,
            counters=pages.counters,
        )
        api = RunningMeshApi(
            facts,
            core,
            MeshParts(source, lambda: platform.pods, traffic, logs, platform.ask_admin),
        )
        objects = _Objects(source, mode, platform, core, facts, pages, way_out, observe)
        await objects.follow(group, stack)
        group.spawn(Scraper(lambda: _admin_sockets(core, platform), traffic).run())
        group.spawn(pages.read_counters())

        observe("page", "starting", "")
        control_socket = runtime.path / CONTROL_SOCKET
        facts.page = await open_doors(
            api, core.metrics.registry, control_socket, settings.page_port, group
        )
        observe("page", "ready", facts.page)
        yield LocalMesh(api, platform)


def _own_directory(settings: LocalMeshSettings) -> Path:
    """Where new objects go: the first directory given, else one beside the root certificate."""
    given = next((path for path in settings.paths if path.is_dir()), None)
    if given is not None:
        return given
    own = settings.state / "objects"
    own.mkdir(parents=True, exist_ok=True)
    return own


def _preparation(core: ControlCore) -> Prepare:
    async def prepare(pod: Pod, directory: Path) -> list[str]:
        account = pod.spec.service_account_name or "default"
        identity = Identity(TRUST_DOMAIN, pod.metadata.namespace, account)
        proxy = ProxyIdentity(identity, pod.metadata.name)
        await core.pipeline.caught_up()  # MeshConfig says how proxies start
        return await core.proxy_files.write(proxy, directory, directory / ADMIN_SOCKET)

    return prepare


def _admin_sockets(core: ControlCore, platform: LocalPlatform) -> dict[str, Path]:
    sockets = {}
    for workload in core.control_plane.model.workloads.values():
        try:
            directory = platform.pod_directory(workload.namespace, workload.name)
        except OsmError:
            continue  # it has just ended
        sockets[workload.proxy.name] = directory / ADMIN_SOCKET
    return sockets


class _Objects:
    """Leads objects from the files, and pods from the platform, to the compiler."""

    def __init__(
        self,
        source: FileSource,
        mode: Mode,
        platform: LocalPlatform,
        core: ControlCore,
        facts: MeshFacts,
        pages: DemoPages,
        way_out: WayOut,
        observe: Observer,
    ) -> None:
        self._source = source
        self._mode = mode
        self._platform = platform
        self._core = core
        self._facts = facts
        self._pages = pages
        self._way_out = way_out
        self._observe = observe
        self._files = Snapshot()
        self._addresses = Addresses()
        self._first_read = Event()

    async def follow(self, group: BackgroundTasks, stack: AsyncExitStack) -> None:
        """Follow both; returns when the files were read for the first time."""
        files = group.create_task(self._follow_files())
        stack.callback(files.cancel)  # before the platform ends: a late edit starts no pod again
        group.spawn(self._follow_pods())
        await self._first_read.wait()

    async def _follow_files(self) -> None:
        async for change in self._source.watch():
            self._files = self._files.with_changes(change.applied, change.deleted)
            everything = [m.object for m in self._files.objects.values()]
            plan = make_plan(everything, self._mode.isolation, self._addresses)
            self._addresses = plan.addresses
            self._way_out.take(self._files.objects.values())
            found = placed(plan.findings, self._files.objects)
            self._facts.findings = (*change.findings, *found)
            gone = [key for key in change.deleted if key.kind != "Pod"]
            compiled = compiled_objects(self._files.objects, plan)
            self._core.pipeline.change(compiled, gone, trigger=_trigger(change))
            await self._platform.apply(plan.pods, plan.hosts)
            self._first_read.set()

    async def _follow_pods(self) -> None:
        ready: set[Key] = set()
        async for change in self._platform.watch():
            self._core.pipeline.change(change.applied, change.deleted, trigger="Pod")
            for manifest in change.applied:
                if isinstance(manifest.object, Pod):
                    self._tell(manifest.key, manifest.object, ready)
                    await self._pages.show(manifest.key, manifest.object)
            for key in change.deleted:
                ready.discard(key)
                self._core.proxy_files.forget(key.namespace, key.name)
                await self._pages.hide(key)

    def _tell(self, key: Key, pod: Pod, ready: set[Key]) -> None:
        if key in ready:
            return
        is_ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
        self._observe(
            f"workload {key.namespace}/{key.name}", "ready" if is_ready else "starting", ""
        )
        if is_ready:
            ready.add(key)


def _trigger(change: Change) -> str:
    kinds = sorted({m.key.kind for m in change.applied} | {key.kind for key in change.deleted})
    return ", ".join(kinds) or "files"
