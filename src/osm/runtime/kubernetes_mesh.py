"""The control plane in a cluster: its objects in, proxies configured, and what became of them written back.

Replicas are alike: each follows the API server, serves proxies and answers admission. One of them, the
leader, also writes (`osm.runtime.writer`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec

from osm.core.api.kubernetes import Pod
from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import KINDS, Kind
from osm.core.compile.options import CompileOptions
from osm.core.install.names import ADS_PORT, CA_SECRET, Installation
from osm.core.model.identity import token_audience
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding
from osm.errors import ConfigError, UsageError
from osm.issuers.root_pem import Place, create_root
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.root_secret import read_or_create_root
from osm.kubernetes.source import NOT_SERVED, KubernetesSource
from osm.kubernetes.token_review import TokenReviewer
from osm.local.output import Logs
from osm.ports import AppliedObject, Change, Clock
from osm.runtime.collector import keep_out_of_collections, tune_collector
from osm.runtime.control_core import ControlCore
from osm.runtime.control_findings import api_server_silent, not_followed
from osm.runtime.leading import writer_inputs
from osm.runtime.logs import send_logs_to, set_log_level
from osm.runtime.mesh_api import WINDOW_S, MeshFacts, MeshParts, RunningMeshApi
from osm.runtime.public_http import open_public_http
from osm.runtime.serving import open_pod_doors
from osm.runtime.settings import CONTROL_PLANE_LOG
from osm.runtime.tasks import BackgroundTasks, background_tasks
from osm.runtime.webhooks import WebhookSettings, open_webhooks
from osm.runtime.writer import write_while_leading
from osm.telemetry.traffic import TrafficWindow

_ORDINARY = ("pods", "services", "namespaces", "serviceaccounts")
"""Of Kubernetes' own kinds, those that a mesh is made of."""
SILENT_LIMIT_S = 15.0
"""An API server that starts anew is back earlier."""


class KubernetesSettings(msgspec.Struct, frozen=True):
    """`kubeconfig` and `context` as in `ApiServer.open`; a pod needs neither."""

    installation: Installation
    pod_name: str
    envoy_image: str
    init_image: str
    trust_domain: str = "cluster.local"
    former_mesh: str = ""
    """A mesh of OSM's that this one takes over from."""
    ca_secret: str = CA_SECRET
    kubeconfig: Path | None = None
    context: str | None = None
    validate_traffic_target: bool = True
    webhook_timeout_s: int = 5
    """How long API servers wait for an answer about a pod."""
    log_level: str = "info"
    """Until MeshConfig says something else."""

    @property
    def webhooks(self) -> WebhookSettings:
        return WebhookSettings(
            self.installation,
            self.pod_name,
            self.trust_domain,
            self.envoy_image,
            self.init_image,
            self.validate_traffic_target,
            self.former_mesh,
        )


class KubernetesMesh:
    """A control plane that runs in this process."""

    def __init__(self, api: RunningMeshApi) -> None:
        self.api = api

    async def stopped(self) -> str:
        """Wait until something else ends it, and say what."""
        return await self.api.stopped


def followed_kinds() -> tuple[Kind, ...]:
    """What is read of a cluster."""
    return tuple(
        kind
        for kind in KINDS
        if kind.supported
        and (kind.plural in _ORDINARY if kind.group in ("", "apps", "batch") else True)
    )


@asynccontextmanager
async def run_kubernetes_mesh(
    settings: KubernetesSettings, observe: Callable[[str, str, str], None]
) -> AsyncIterator[KubernetesMesh]:
    """Serve a mesh until the context ends. Proxies keep what they have when it does."""
    tune_collector()
    async with AsyncExitStack() as stack:
        logs = Logs()
        send_logs_to(lambda text, error: logs.add(*CONTROL_PLANE_LOG, text, error=error))
        set_log_level(settings.log_level)
        clock = SystemClock()
        server = ApiServer.open(settings.kubeconfig, settings.context)
        stack.push_async_callback(server.close)
        group = await stack.enter_async_context(background_tasks())
        core = await _open_core(settings, server, clock)
        unready = _Unready()
        await open_public_http(core.metrics.registry, lambda: unready.why, group)

        observe("objects", "starting", "")
        rng = Random()  # noqa: S311 jitter only
        facts = _facts(settings, clock)
        source = KubernetesSource(server, followed_kinds(), rng)
        await _follow(source, core, facts, group)
        keep_out_of_collections()
        observe("objects", "ready", f"{len(core.pipeline.objects)} objects")

        observe("control plane", "starting", "")
        reviewer = TokenReviewer(
            server,
            audience=token_audience(settings.installation.mesh),
            trust_domain=settings.trust_domain,
        )
        await core.start(group, review_token=reviewer.review)
        observe("control plane", "ready", core.address)
        observe("webhooks", "starting", "")
        await open_webhooks(settings.webhooks, server, core, group)
        observe("webhooks", "ready", "")

        api = _api(core, facts, logs, source)
        await open_pod_doors(api, core.metrics.registry, group)
        inputs = writer_inputs(
            settings.installation,
            settings.trust_domain,
            settings.webhook_timeout_s,
            core,
            api.findings,
            former_mesh=settings.former_mesh,
        )

        def leads(now: bool) -> None:  # noqa: FBT001
            facts.leads = now
            core.metrics.leads(now)

        group.spawn(
            write_while_leading(
                server,
                settings.installation,
                settings.pod_name,
                inputs,
                observe=leads,
            )
        )
        unready.why = ""
        yield KubernetesMesh(api)


class _Unready:
    """Why no proxy should come yet."""

    why = "the objects of the cluster are not all known yet"


async def _open_core(settings: KubernetesSettings, server: ApiServer, clock: Clock) -> ControlCore:
    installation = settings.installation
    certificate, key = await read_or_create_root(
        server, installation, settings.ca_secret, lambda: create_root(clock.now())
    )
    where = f"of Secret {installation.namespace}/{settings.ca_secret}"
    tresor = Tresor.of(
        certificate,
        key,
        Place(
            f"ca.crt {where}",
            f"private.key {where}",
            "Restore the Secret from a backup, or delete it for a new root: workloads start again.",
        ),
        trust_domain=settings.trust_domain,
        leaf_validity=timedelta(seconds=Settings().certificate_validity_s),
        clock=clock,
    )
    options = CompileOptions(
        installation.mesh,
        settings.trust_domain,
        namespace=installation.namespace,
        former_mesh=settings.former_mesh,
    )
    return ControlCore(tresor, options, f"[::]:{ADS_PORT}", clock, None)


async def _follow(
    source: KubernetesSource, core: ControlCore, facts: MeshFacts, group: BackgroundTasks
) -> None:
    """Lead the objects of a cluster to the compiler; returns when all that there are were compiled."""
    watch = source.watch()

    def take(change: Change, trigger: str) -> None:
        facts.findings = change.findings
        core.pipeline.change(change.applied, change.deleted, trigger=trigger)

    take(await anext(watch), "start")
    await core.pipeline.settle()

    async def follow_on() -> None:
        async for change in watch:
            kinds = {m.key.kind for m in change.applied} | {k.kind for k in change.deleted}
            take(change, ", ".join(sorted(kinds)))

    group.spawn(follow_on())


def _findings_of(source: KubernetesSource) -> tuple[Finding, ...]:
    """What of the cluster is not known, or not any more."""
    found = [
        not_followed(plural, why)
        for plural, why in sorted(source.problems.items())
        if why != NOT_SERVED
    ]
    if source.failing_s(asyncio.get_running_loop().time()) > SILENT_LIMIT_S:
        found.append(api_server_silent(SILENT_LIMIT_S))
    return tuple(found)


class ClusterObjects:
    """The objects as they were compiled. Implements `WrittenObjects`, but for writing."""

    def __init__(self, core: ControlCore) -> None:
        self._core = core

    @property
    def objects(self) -> Mapping[Key, Manifest]:
        return self._core.pipeline.objects

    async def apply(self, _text: str, *, dry_run: bool) -> Sequence[AppliedObject]:  # noqa: ARG002
        raise UsageError(_USE_KUBECTL, hint="kubectl apply -f FILE")

    async def delete(self, _keys: Sequence[Key]) -> Sequence[AppliedObject]:
        raise UsageError(_USE_KUBECTL, hint="kubectl delete KIND NAME")


_USE_KUBECTL = "Objects of a cluster are written with kubectl."


def _facts(settings: KubernetesSettings, clock: Clock) -> MeshFacts:
    return MeshFacts(
        mesh=settings.installation.mesh,
        platform=f"Kubernetes: control plane in namespace {settings.installation.namespace}",
        directory="",
        started=clock.now(),
        replica=settings.pod_name,
    )


def _api(
    core: ControlCore, facts: MeshFacts, logs: Logs, source: KubernetesSource
) -> RunningMeshApi:
    objects = ClusterObjects(core)

    def pods() -> Mapping[Key, Manifest]:
        meshed = core.control_plane.model.workloads
        return {
            key: manifest
            for key, manifest in objects.objects.items()
            if isinstance(manifest.object, Pod) and (key.namespace, key.name) in meshed
        }

    parts = MeshParts(
        objects,
        pods,
        TrafficWindow(WINDOW_S),
        logs,
        _no_admin,
        lambda: _findings_of(source),
    )
    return RunningMeshApi(facts, core, parts)


async def _no_admin(namespace: str, name: str, _path: str) -> tuple[int, bytes]:
    raise ConfigError(
        f"the control plane may not look into pods, and so not into {namespace}/{name}",
        hint=f"osm proxy get PATH {name} -n {namespace}",
    )
