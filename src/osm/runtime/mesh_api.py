"""What people and programs ask of a running mesh (`osm.ports.MeshApi`), answered from its parts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from osm.ads.control_plane import ControlPlane
from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.view import MeshView
from osm.core.model.directory import Directory
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Origin, Severity
from osm.errors import PlatformError, UsageError
from osm.issuers.keeper import CertificateKeeper
from osm.local.files import FileSource
from osm.local.output import Logs
from osm.ports import AppliedObject, Clock, LogLine
from osm.runtime.pipeline import Pipeline
from osm.runtime.view import edge_views, object_views, proxy_views, workload_views
from osm.telemetry.access_log import DenialLog
from osm.telemetry.traffic import TrafficWindow

WINDOW_S = 5.0

AskAdmin = Callable[[str, str, str], Awaitable[tuple[int, bytes]]]
"""Namespace, workload and path to the status and body of a proxy's admin interface."""


class MeshFacts(msgspec.Struct):
    """What is said of a mesh once; `page` and `pages` are known when their sockets are open."""

    mesh: str
    platform: str
    directory: str
    started: datetime
    page: str = ""
    pages: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    counters: dict[str, tuple[tuple[str, int], ...]] = msgspec.field(default_factory=dict)
    plan_findings: tuple[Finding, ...] = ()
    file_findings: tuple[Finding, ...] = ()
    refusals: dict[Origin, Finding] = msgspec.field(default_factory=dict)


class RunningMeshApi:
    """Answers from the present state; keeps none of its own."""

    def __init__(
        self,
        facts: MeshFacts,
        *,
        clock: Clock,
        pipeline: Pipeline,
        control_plane: ControlPlane,
        keeper: CertificateKeeper,
        files: FileSource,
        pods: Callable[[], Mapping[Key, Manifest]],
        traffic: TrafficWindow,
        denials: DenialLog,
        logs: Logs,
        ask_admin: AskAdmin,
    ) -> None:
        self.facts = facts
        self.stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._clock = clock
        self._pipeline = pipeline
        self._control_plane = control_plane
        self._keeper = keeper
        self._files = files
        self._pods = pods
        self._traffic = traffic
        self._denials = denials
        self._logs = logs
        self._ask_admin = ask_admin

    def view(self) -> MeshView:
        """Everything at this moment."""
        model = self._control_plane.model
        denials = self._denials.views()
        findings = self.findings()
        pods = [m.object for m in self._pods().values() if isinstance(m.object, Pod)]
        return MeshView(
            mesh=self.facts.mesh,
            platform=self.facts.platform,
            policy_mode="permissive" if model.settings.permissive else "smi",
            trust_domain=model.settings.trust_domain,
            started=self.facts.started.isoformat(timespec="seconds"),
            now=self._clock.now().isoformat(timespec="milliseconds"),
            window_s=WINDOW_S,
            page=self.facts.page,
            directory=self.facts.directory,
            workloads=workload_views(model, pods, self.facts.pages),
            edges=edge_views(
                model,
                self._traffic.edges(time.monotonic()),
                denials,
                self._denials.rates(WINDOW_S),
            ),
            proxies=proxy_views(
                model, self._control_plane.by_proxy(), time.monotonic(), self._expiry()
            ),
            objects=object_views(self.objects(), findings),
            denials=denials[:50],
            findings=findings,
            push=self._pipeline.last_push,
            counters=tuple(sorted(self.facts.counters.items())),
        )

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong at this moment, whoever found it."""
        found = {
            *self.facts.file_findings,
            *self.facts.plan_findings,
            *self._pipeline.findings,
            *self.facts.refusals.values(),
        }
        if self._pipeline.failure:
            found.add(
                Finding(
                    "OSM901",
                    Severity.ERROR,
                    None,
                    f"the newest objects could not be compiled: {self._pipeline.failure}",
                    "The last good configuration stays. This is a mistake in osm: please report it.",
                )
            )
        return tuple(sorted(found, key=lambda f: (f.severity != Severity.ERROR, f.code, str(f))))

    def objects(self) -> Sequence[Manifest]:
        """The objects of the mesh, and the pods that run."""
        return tuple(m for _, m in sorted(self._pipeline.snapshot.objects.items()))

    async def apply(self, text: str, *, dry_run: bool = False) -> Sequence[AppliedObject]:
        return await self._files.apply(text, dry_run=dry_run)

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]:
        return await self._files.delete(keys)

    def explain(self, question: Question) -> Explanation:
        return explain(self._control_plane.model, question)

    async def proxy_admin(self, proxy: str, path: str) -> bytes:
        found = Directory(self._control_plane.model).workloads(proxy)
        if not found:
            raise UsageError(
                f"there is no workload {proxy!r}",
                hint="`osm proxy list` shows those that there are.",
            )
        status, body = await self._ask_admin(
            found[0].namespace, found[0].name, "/" + path.lstrip("/")
        )
        if status != 200:
            raise PlatformError(
                f"the proxy answered {status}: {body.decode(errors='replace')[:500]}"
            )
        return body

    async def logs(self, workload: str, *, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        if follow:
            async for line in self._logs.follow(workload, tail=tail):
                yield line
        else:
            for line in self._logs.last(workload, tail=tail):
                yield line

    async def shutdown(self) -> None:
        if not self.stopped.done():
            self.stopped.set_result("osm down")

    def _expiry(self) -> Mapping[Identity, datetime]:
        identities = {w.identity for w in self._control_plane.model.workloads.values()}
        pairs = {identity: self._keeper.current(identity) for identity in identities}
        return {identity: pair.not_after for identity, pair in pairs.items() if pair is not None}
