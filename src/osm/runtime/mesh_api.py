"""What people and programs ask of a running mesh (`osm.ports.MeshApi`), answered from its parts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from osm.ads.expected import expected_resources
from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.core.explain.decide import explain
from osm.core.explain.denied import explain_refusal
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal
from osm.core.explain.state import with_state
from osm.core.explain.view import MeshView, ReplicaView
from osm.core.model.directory import Directory
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Severity
from osm.core.model.workload import Workload
from osm.errors import PlatformError, UsageError
from osm.local.output import Logs
from osm.ports import AppliedObject, ExpectedResource, LogLine
from osm.runtime.control_core import ControlCore
from osm.runtime.placed import placed
from osm.runtime.proxy_view import proxy_views
from osm.runtime.view import denial_views, edge_views, object_views, workload_views
from osm.telemetry.traffic import TrafficWindow

WINDOW_S = 5.0

AskAdmin = Callable[[str, str, str], Awaitable[tuple[int, bytes]]]
"""Namespace, workload and path to the status and body of a proxy's admin interface."""


class MeshFacts(msgspec.Struct):
    """What is known of a mesh beside its model; whoever starts it fills this in as it goes."""

    mesh: str
    platform: str
    directory: str
    started: datetime
    page: str = ""
    pages: Mapping[tuple[str, str], str] = msgspec.field(default_factory=dict)
    counters: Mapping[str, tuple[tuple[str, int], ...]] = msgspec.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    """Of the source and the platform; the compiler's and the proxies' are kept elsewhere."""
    replica: str = ""
    """The pod in a cluster that this is."""
    leads: bool = False


class WrittenObjects(Protocol):
    """The objects that people wrote, and the way to write them."""

    @property
    def objects(self) -> Mapping[Key, Manifest]: ...

    async def apply(self, text: str, *, dry_run: bool) -> Sequence[AppliedObject]: ...

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]: ...


class MeshParts(msgspec.Struct, frozen=True):
    """The parts of a running mesh that depend on its platform."""

    written: WrittenObjects
    pods: Callable[[], Mapping[Key, Manifest]]
    traffic: TrafficWindow
    logs: Logs
    ask_admin: AskAdmin
    findings: Callable[[], Sequence[Finding]] = lambda: ()
    """Of the platform, at this moment."""


class RunningMeshApi:
    """Answers from the present state; keeps none of its own."""

    def __init__(self, facts: MeshFacts, core: ControlCore, parts: MeshParts) -> None:
        self.stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._facts = facts
        self._core = core
        self._parts = parts

    def view(self) -> MeshView:
        """Everything at this moment."""
        model = self._core.control_plane.model
        denials = self._core.denials.views()
        findings = self.findings()
        pods = [m.object for m in self._parts.pods().values() if isinstance(m.object, Pod)]
        return MeshView(
            mesh=self._facts.mesh,
            platform=self._facts.platform,
            policy_mode="permissive" if model.settings.permissive else "smi",
            trust_domain=model.settings.trust_domain,
            started=self._facts.started.isoformat(timespec="seconds"),
            now=self._core.clock.now().isoformat(timespec="milliseconds"),
            window_s=WINDOW_S,
            page=self._facts.page,
            directory=self._facts.directory,
            workloads=workload_views(model, pods, self._facts.pages),
            edges=edge_views(
                model,
                self._parts.traffic.edges(time.monotonic()),
                denials,
                self._core.denials.rates(WINDOW_S),
            ),
            proxies=proxy_views(
                model,
                self._core.control_plane.by_proxy(),
                time.monotonic(),
                self._expiry(),
                self._core.control_plane.refusals(),
            ),
            objects=object_views(self.objects(), findings),
            denials=denial_views(model, denials[:50]),
            findings=findings,
            push=self._core.pipeline.last_push,
            counters=tuple(sorted(self._facts.counters.items())),
            replicas=self._replicas(),
        )

    def _replicas(self) -> tuple[ReplicaView, ...]:
        """This one, where there may be others."""
        facts, proxies = self._facts, len(self._core.control_plane.by_proxy())
        return (ReplicaView(facts.replica, proxies, facts.leads),) if facts.replica else ()

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong at this moment, whoever found it."""
        written = self._parts.written.objects
        found = {
            *self._facts.findings,
            *self._parts.findings(),
            *placed(self._core.findings(), written),
        }
        return tuple(sorted(found, key=lambda f: (f.severity != Severity.ERROR, f.code, str(f))))

    def objects(self) -> Sequence[Manifest]:
        """The objects of the mesh, and the pods that run."""
        return tuple(m for _, m in sorted(self._core.pipeline.objects.items()))

    async def apply(self, text: str, *, dry_run: bool = False) -> Sequence[AppliedObject]:
        return await self._parts.written.apply(text, dry_run=dry_run)

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]:
        return await self._parts.written.delete(keys)

    def explain(self, question: Question) -> Explanation:
        return self._with_state(explain(self._core.control_plane.model, question))

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        return self._with_state(explain_refusal(self._core.control_plane.model, refusal))

    def _with_state(self, answer: Explanation) -> Explanation:
        """Beside the model's answer: proxies that do not know it yet."""
        plane = self._core.control_plane
        keys = [(name.partition("/")[0], name.partition("/")[2]) for name in answer.workloads]
        part = {key: plane.model.workloads[key] for key in keys}
        proxies = proxy_views(
            msgspec.structs.replace(plane.model, workloads=part),
            plane.by_proxy(),
            time.monotonic(),
            {},
            plane.refusals(),
        )
        return with_state(answer, proxies, self.findings())

    async def proxy_admin(self, proxy: str, path: str) -> bytes:
        workload = self._workload(proxy)
        status, body = await self._parts.ask_admin(
            workload.namespace, workload.name, "/" + path.lstrip("/")
        )
        if status != 200:
            raise PlatformError(
                f"the proxy answered {status}: {body.decode(errors='replace')[:500]}"
            )
        return body

    def proxy_expected(self, proxy: str) -> Sequence[ExpectedResource]:
        workload = self._workload(proxy)
        session = self._core.control_plane.by_proxy().get(workload.proxy.name)
        if session is None:
            raise PlatformError(
                f"the proxy {workload.proxy.name} is not connected to the control plane",
                hint="What it holds, and so what it should run, is known while it is connected.",
            )
        return expected_resources(session, self._core.control_plane.distribution)

    async def logs(self, workload: str, *, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        if follow:
            async for line in self._parts.logs.follow(workload, tail=tail):
                yield line
        else:
            for line in self._parts.logs.last(workload, tail=tail):
                yield line

    async def shutdown(self) -> None:
        if not self.stopped.done():
            self.stopped.set_result("osm down")

    def _workload(self, proxy: str) -> Workload:
        found = Directory(self._core.control_plane.model).workloads(proxy)
        if not found:
            raise UsageError(
                f"there is no workload {proxy!r}",
                hint="`osm proxy list` shows those that there are.",
            )
        return found[0]

    def _expiry(self) -> Mapping[Identity, datetime]:
        identities = self._core.control_plane.model.workloads_of
        ends = {identity: self._core.keeper.expires(identity) for identity in identities}
        return {identity: end for identity, end in ends.items() if end is not None}
