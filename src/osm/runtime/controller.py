"""The control plane alone: a directory of objects in, configuration for proxies that others start out."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from osm.core.api.kubernetes import Pod
from osm.errors import UsageError
from osm.kit.clock import SystemClock
from osm.local.files import FileSource
from osm.local.output import Logs
from osm.local.runtime_directory import RuntimeDirectory
from osm.runtime.collector import keep_out_of_collections, tune_collector
from osm.runtime.control_core import ControlCore
from osm.runtime.logs import send_logs_to
from osm.runtime.mesh_api import WINDOW_S, MeshFacts, MeshParts, RunningMeshApi
from osm.runtime.serving import open_doors
from osm.runtime.settings import CONTROL_PLANE_LOG, CONTROL_SOCKET, state_directory
from osm.runtime.tasks import background_tasks
from osm.telemetry.traffic import TrafficWindow


class ControllerSettings(msgspec.Struct, frozen=True):
    """`ads` is where proxies connect: `unix:<path>` or `<host>:<port>`."""

    mesh: str
    directory: Path
    ads: str
    page_port: int = 0
    leaf_validity: timedelta | None = None
    """Of workloads' certificates; what MeshConfig says when it is not given."""


class Controller:
    """A control plane that runs in this process."""

    def __init__(self, api: RunningMeshApi) -> None:
        self.api = api

    async def stopped(self) -> str:
        """Wait until something else ends it, and say what."""
        return await self.api.stopped


@asynccontextmanager
async def run_controller(
    settings: ControllerSettings, observe: Callable[[str, str, str], None]
) -> AsyncIterator[Controller]:
    """Serve the objects of a directory. Workloads are its Pod objects, as an API server shows them."""
    tune_collector()
    async with AsyncExitStack() as stack:
        runtime = stack.enter_context(RuntimeDirectory(settings.mesh))
        logs = Logs()
        send_logs_to(lambda text, error: logs.add(*CONTROL_PLANE_LOG, text, error=error))
        clock = SystemClock()
        group = await stack.enter_async_context(background_tasks())
        source = FileSource((settings.directory,), directory=settings.directory)
        core = await ControlCore.open(
            settings.mesh,
            state_directory(settings.mesh),
            settings.ads,
            clock=clock,
            leaf_validity=settings.leaf_validity,
        )
        facts = MeshFacts(
            mesh=settings.mesh,
            platform="control plane only: others start the proxies",
            directory=str(settings.directory),
            started=clock.now(),
        )
        api = RunningMeshApi(
            facts,
            core,
            MeshParts(
                source,
                lambda: {
                    key: manifest
                    for key, manifest in core.pipeline.objects.items()
                    if isinstance(manifest.object, Pod)
                },
                TrafficWindow(WINDOW_S),
                logs,
                _no_admin,
            ),
        )
        observe("objects", "starting", "")
        watch = source.watch()
        first = await anext(watch)
        core.pipeline.change(first.applied, first.deleted, trigger="start")
        await core.pipeline.settle()
        keep_out_of_collections()
        facts.findings = first.findings
        observe("objects", "ready", f"{len(first.applied)} objects")

        async def follow() -> None:
            async for change in watch:
                facts.findings = change.findings
                kinds = {m.key.kind for m in change.applied} | {k.kind for k in change.deleted}
                core.pipeline.change(
                    change.applied, change.deleted, trigger=", ".join(sorted(kinds))
                )

        observe("control plane", "starting", "")
        await core.start(group)
        group.spawn(follow())
        observe("control plane", "ready", settings.ads)
        observe("page", "starting", "")
        control_socket = runtime.path / CONTROL_SOCKET
        facts.page = await open_doors(
            api, core.metrics.registry, control_socket, settings.page_port, group
        )
        observe("page", "ready", facts.page)
        yield Controller(api)


async def _no_admin(namespace: str, name: str, _path: str) -> tuple[int, bytes]:
    raise UsageError(
        f"the proxy {namespace}/{name} was started by somebody else",
        hint="Ask its admin interface where it runs; `osm proxy diff --dump` reads the answer.",
    )
