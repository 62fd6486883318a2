"""A whole mesh on this machine: files in, processes with proxies out, one control plane between."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import structlog

from osm.ads.control_plane import ControlPlane, Refused
from osm.ads.server import AdsServer
from osm.core.api.kubernetes import Pod, Service
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import compile_model
from osm.core.compile.local_annotations import COUNTERS, FORWARD
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.workload import PipeAddress
from osm.core.pki.certificate import ServerName
from osm.core.pki.trust import Refused as NotTrusted
from osm.core.pki.trust import TrustBundle
from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.server import listen_loopback, listen_unix, serve
from osm.issuers.keeper import CertificateKeeper
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.local.files import FileSource
from osm.local.forward import PortForward
from osm.local.mode import Wish, detect_mode
from osm.local.output import Logs
from osm.local.plan import Addresses, Plan, make_plan
from osm.local.platform import LocalPlatform
from osm.local.proxy import ADMIN_SOCKET
from osm.local.runtime_directory import RuntimeDirectory
from osm.ports import Change
from osm.runtime.logs import send_logs_to
from osm.runtime.mesh_api import WINDOW_S, MeshFacts, RunningMeshApi
from osm.runtime.pipeline import Pipeline
from osm.runtime.proxy_files import ProxyFiles
from osm.telemetry.access_log import DenialLog
from osm.telemetry.scraper import Scraper
from osm.telemetry.traffic import TrafficWindow

log = structlog.get_logger("osm.local_mesh")

TRUST_DOMAIN = "cluster.local"
ADS_NAME = f"ads.{TRUST_DOMAIN}"
ADS_SOCKET = "ads.sock"
CONTROL_SOCKET = "control.sock"
CONTROL_PLANE = ("osm-system", "osm-controller", "osm")
"""The name under which the control plane's own lines are found among the logs."""
LEAF_VALIDITY = timedelta(hours=24)

Observer = Callable[[str, str, str], None]
"""Told of each step of the start: name, state (`starting`, `ready`, `failed`), a few words."""


class LocalMeshSettings(msgspec.Struct, frozen=True):
    """`paths` are files and directories of YAML; new objects go to the first directory."""

    mesh: str
    paths: tuple[Path, ...]
    isolation: str = "auto"
    page_port: int = 0
    leaf_validity: timedelta = LEAF_VALIDITY
    state_directory: Path | None = None
    """Where the root certificate is kept; the user's own place when it is not given."""


class LocalMesh:
    """A mesh that runs in this process."""

    def __init__(self, api: RunningMeshApi, platform: LocalPlatform) -> None:
        self.api = api
        self._platform = platform

    async def dial(self, namespace: str, workload: str, port: int) -> socket.socket:
        """Connect to a port of a workload, past its proxy, as its readiness probes do."""
        return await self._platform.dial(namespace, workload, port)

    async def stopped(self) -> str:
        """Wait until something else ends the mesh, and say what."""
        return await self.api.stopped


def state_directory(mesh: str) -> Path:
    """What outlives a mesh: its root certificate."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "osm" / mesh


@asynccontextmanager
async def run_local_mesh(
    settings: LocalMeshSettings, observe: Observer
) -> AsyncIterator[LocalMesh]:
    """Start everything; at the end of the context nothing of it is left."""
    async with AsyncExitStack() as stack:
        runtime = stack.enter_context(RuntimeDirectory(settings.mesh))
        mesh = await _Assembly(settings, runtime, observe).start(stack)
        yield mesh


class _Assembly:
    """Puts the parts together, in the order in which they need each other."""

    def __init__(
        self, settings: LocalMeshSettings, runtime: RuntimeDirectory, observe: Observer
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._state = settings.state_directory or state_directory(settings.mesh)
        self._observe = observe
        self._clock = SystemClock()
        self._logs = Logs()
        self._denials = DenialLog(self._clock)
        self._traffic = TrafficWindow(WINDOW_S)
        self._addresses = Addresses()
        self._files = Snapshot()
        self._forwards: dict[Key, PortForward] = {}
        self._synced = asyncio.Event()

    async def start(self, stack: AsyncExitStack) -> LocalMesh:
        settings = self._settings
        send_logs_to(lambda text, error: self._logs.add(*CONTROL_PLANE, text, error=error))
        self._observe("issuer", "starting", "")
        options = CompileOptions(settings.mesh, TRUST_DOMAIN, require_monitored_label=False)
        tresor = await asyncio.to_thread(
            Tresor.open,
            self._state / "ca",
            trust_domain=TRUST_DOMAIN,
            leaf_validity=settings.leaf_validity,
            clock=self._clock,
        )
        self._keeper = CertificateKeeper(tresor, self._clock, rng=Random())  # noqa: S311 jitter
        self._trust = TrustBundle.from_pem(tresor.trust_bundle, [TRUST_DOMAIN])
        self._observe("issuer", "ready", "Tresor")

        self._observe("control plane", "starting", "")
        self._control_plane = ControlPlane(
            compile_model(Snapshot(), options), tresor.trust_bundle, on_refusal=self._refused
        )
        self._pipeline = Pipeline(options, self._control_plane, self._on_model)
        mode = await detect_mode(Wish(settings.isolation))
        self._isolation = mode.isolation
        ads_socket = self._runtime.path / ADS_SOCKET
        self._proxy_files = ProxyFiles(self._keeper, PipeAddress(str(ads_socket)), ADS_NAME)
        source = FileSource(settings.paths, directory=self._directory())
        group = await stack.enter_async_context(_tasks())
        spawn = group.create_task
        server_pair = await self._keeper.get(ServerName(ADS_NAME))
        ads = AdsServer(
            self._control_plane,
            authenticate=self._authenticate,
            ensure_certificate=self._ensure_certificate,
            take_denial=self._denials.handle,
        )
        started = asyncio.Event()
        spawn(
            ads.serve(
                f"unix:{ads_socket}",
                lambda: self._keeper.current(ServerName(ADS_NAME)) or server_pair,
                tresor.trust_bundle,
                started,
            )
        )
        await started.wait()
        spawn(self._keeper.run())
        spawn(self._renew())
        spawn(self._pipeline.run())
        self._observe("control plane", "ready", mode.reason)

        self._platform = await stack.enter_async_context(
            LocalPlatform(
                mode.isolation,
                self._runtime,
                prepare=self._prepare,
                take_line=self._take_line,
                hidden=(self._state,),
            )
        )
        facts = MeshFacts(
            mesh=settings.mesh,
            platform=f"local: {mode.reason}",
            directory=str(self._directory()),
            started=self._clock.now(),
        )
        self._facts = facts
        api = RunningMeshApi(
            facts,
            clock=self._clock,
            pipeline=self._pipeline,
            control_plane=self._control_plane,
            keeper=self._keeper,
            files=source,
            pods=lambda: self._platform.pods,
            traffic=self._traffic,
            denials=self._denials,
            logs=self._logs,
            ask_admin=self._platform.ask_admin,
        )
        following = spawn(self._follow_files(source))
        stack.callback(following.cancel)  # before the platform ends: no edit starts a pod again
        spawn(self._follow_pods())
        await self._synced.wait()
        spawn(Scraper(self._admin_sockets, self._traffic).run())
        spawn(self._read_counters())
        stack.push_async_callback(self._close_forwards)

        self._observe("page", "starting", "")
        control = listen_unix(self._runtime.path / CONTROL_SOCKET)
        spawn(serve(build_app(api, access=SocketAccess()), control))
        page = listen_loopback(settings.page_port)
        port = page.getsockname()[1]
        spawn(serve(build_app(api, access=LoopbackAccess(port)), page))
        facts.page = f"http://127.0.0.1:{port}/"
        self._observe("page", "ready", facts.page)
        return LocalMesh(api, self._platform)

    def _directory(self) -> Path:
        """Where new objects go: the first directory given, else one beside the root certificate."""
        given = next((path for path in self._settings.paths if path.is_dir()), None)
        if given is not None:
            return given
        own = self._state / "objects"
        own.mkdir(parents=True, exist_ok=True)
        return own

    # Certificates

    def _authenticate(self, chain: bytes) -> ProxyIdentity | str:
        found = self._trust.authenticate_proxy(chain, self._clock.now())
        return found.text if isinstance(found, NotTrusted) else found

    async def _ensure_certificate(self, proxy: ProxyIdentity) -> None:
        if not self._control_plane.has_certificate(proxy.identity):
            pair = await self._keeper.get(proxy.identity)
            self._control_plane.renew(proxy.identity, pair.certificate, pair.private_key)

    async def _renew(self) -> None:
        """Hand renewed certificates on: by SDS for workloads, by file for the way to us."""
        with self._keeper.subscribe() as renewals:
            async for subject, pair in renewals:
                if isinstance(subject, Identity) and self._control_plane.has_certificate(subject):
                    self._control_plane.renew(subject, pair.certificate, pair.private_key)
                elif isinstance(subject, ProxyIdentity):
                    self._proxy_files.renew(subject, pair)

    async def _prepare(self, pod: Pod, directory: Path) -> list[str]:
        account = pod.spec.service_account_name or "default"
        identity = Identity(TRUST_DOMAIN, pod.metadata.namespace, account)
        proxy = ProxyIdentity(identity, pod.metadata.name)
        return await self._proxy_files.write(proxy, directory, directory / ADMIN_SOCKET)

    # Objects

    async def _follow_files(self, source: FileSource) -> None:
        async for change in source.watch():
            self._files = self._files.with_changes(change.applied, change.deleted)
            plan = make_plan(
                [m.object for m in self._files.objects.values()], self._isolation, self._addresses
            )
            self._addresses = plan.addresses
            self._facts.file_findings = change.findings
            self._facts.plan_findings = plan.findings
            self._pipeline.change(
                self._with_addresses(plan), self._gone(change), trigger=_trigger(change)
            )
            await self._platform.apply(plan.pods, plan.hosts)
            self._synced.set()

    def _with_addresses(self, plan: Plan) -> list[Manifest]:
        """The objects of the files, services with the addresses that this machine gives them."""
        services = {(s.metadata.namespace, s.metadata.name): s for s in plan.services}
        return [
            msgspec.structs.replace(manifest, object=services[key.namespace, key.name])
            if isinstance(manifest.object, Service)
            else manifest
            for key, manifest in self._files.objects.items()
            if not isinstance(manifest.object, Pod)
        ]

    @staticmethod
    def _gone(change: Change) -> list[Key]:
        return [key for key in change.deleted if key.kind != "Pod"]

    async def _follow_pods(self) -> None:
        seen: set[str] = set()
        async for change in self._platform.watch():
            self._pipeline.change(change.applied, change.deleted, trigger="Pod")
            for manifest in change.applied:
                if isinstance(manifest.object, Pod):
                    self._observe_pod(manifest.object, seen)
                    await self._forward(manifest.key, manifest.object)
            for key in change.deleted:
                await self._unforward(key)

    def _observe_pod(self, pod: Pod, seen: set[str]) -> None:
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
        if name not in seen:
            state = "ready" if ready else "starting"
            self._observe(f"workload {name}", state, "")
            if ready:
                seen.add(name)

    def _on_model(self, model: object) -> None:
        """What a proxy once refused counts no longer when its objects have changed."""
        self._facts.refusals.clear()

    def _refused(self, refused: Refused) -> None:
        namespace, _, name = refused.proxy.partition("/")
        for origin in refused.origins or (Origin("Pod", namespace, name),):
            self._facts.refusals[origin] = Finding(
                "OSM902",
                Severity.ERROR,
                origin,
                f"proxy {refused.proxy} refused what this says: {refused.refusal.message}",
                "The proxy keeps the last good configuration.",
            )

    # What people see

    def _take_line(
        self, namespace: str, workload: str, container: str, text: str, error: bool
    ) -> None:
        self._logs.add(namespace, workload, container, text, error=error)

    def _admin_sockets(self) -> dict[str, Path]:
        sockets = {}
        for workload in self._control_plane.model.workloads.values():
            with suppress(Exception):  # a pod that just ended has no directory
                directory = self._platform.pod_directory(workload.namespace, workload.name)
                sockets[workload.proxy.name] = directory / ADMIN_SOCKET
        return sockets

    async def _forward(self, key: Key, pod: Pod) -> None:
        wanted = pod.metadata.annotations.get(FORWARD, "")
        local, _, port = wanted.partition(":")
        if key in self._forwards or not (local.isdecimal() and port.isdecimal()):
            return
        forward = self._platform.forward(key.namespace, key.name, int(port), int(local))
        self._forwards[key] = await forward.__aenter__()
        self._facts.pages[key.namespace, key.name] = f"http://127.0.0.1:{forward.local_port}/"

    async def _unforward(self, key: Key) -> None:
        forward = self._forwards.pop(key, None)
        self._facts.pages.pop((key.namespace, key.name), None)
        self._facts.counters.pop(f"{key.namespace}/{key.name}", None)
        if forward is not None:
            await forward.__aexit__(None, None, None)

    async def _close_forwards(self) -> None:
        for key in list(self._forwards):
            await self._unforward(key)

    async def _read_counters(self) -> None:
        """Ask demo applications for their counters once a second."""
        while True:
            pods = [m.object for m in self._platform.pods.values() if isinstance(m.object, Pod)]
            await asyncio.gather(*(self._read_counter(pod) for pod in pods))
            await asyncio.sleep(1)

    async def _read_counter(self, pod: Pod) -> None:
        port, _, path = pod.metadata.annotations.get(COUNTERS, "").partition("/")
        if not port.isdecimal():
            return
        with suppress(Exception):  # it starts, ends or is no demo application: nothing to show
            body = await _get(
                lambda: self._platform.dial(pod.metadata.namespace, pod.metadata.name, int(port)),
                "/" + path,
            )
            values = json.loads(body)
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self._facts.counters[name] = tuple(
                sorted((str(k), v) for k, v in values.items() if isinstance(v, int))
            )


async def _get(dial: Callable[[], Awaitable[object]], path: str) -> bytes:
    async with asyncio.timeout(1):
        reader, writer = await asyncio.open_connection(sock=await dial())
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = await reader.read(-1)
        finally:
            writer.close()
    return answer.partition(b"\r\n\r\n")[2]


def _trigger(change: Change) -> str:
    kinds = sorted({m.key.kind for m in change.applied} | {key.kind for key in change.deleted})
    return ", ".join(kinds) or "files"


@asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose tasks are cancelled when the context ends."""
    tasks: list[asyncio.Task[object]] = []

    class Group(asyncio.TaskGroup):
        def create_task(self, coro, **kwargs):  # type: ignore[no-untyped-def, override]
            task = super().create_task(coro, **kwargs)
            tasks.append(task)
            return task

    async with Group() as group:
        try:
            yield group
        finally:
            for task in tasks:
                task.cancel()
