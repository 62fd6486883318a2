"""What the replica that leads writes to the cluster: status, Events, proxies' files, its own objects."""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from random import Random

import msgspec
import structlog

from osm.core.api.manifest import Key, Manifest
from osm.core.api.registry import Document, kind_of
from osm.core.install.labels import selecting
from osm.core.install.names import Installation
from osm.core.model.groups import APPS, BATCH
from osm.core.model.origin import Finding
from osm.core.status.happenings import told
from osm.core.status.refused import RefusedObject, findings_of_all
from osm.core.status.sorting import findings_by_object
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.events import EventWriter, Happening, Regarding
from osm.kubernetes.guard import Guard
from osm.kubernetes.lease import Leadership, LeaseName, LeaseTimes
from osm.kubernetes.proxy_files import ProxyFilesKeeper
from osm.kubernetes.refusals import RefusalsHeard, RefusalsTold, RefusalTimes
from osm.kubernetes.status import StatusWriter
from osm.kubernetes.writing import Write

log = structlog.get_logger("osm.runtime")

LOOK_S = 5.0
"""How often it is looked without news."""
QUIET_S = 0.3
"""Between two looks at everything: changes come in bursts."""


class WriterInputs(msgspec.Struct, frozen=True):
    """What is asked for again and again, from the writer's event loop.

    Whoever makes them sets `news` when one of them may answer differently (after each compiled
    change, a refusal, a renewed root); the writer clears it. Without news it looks every 5 s.
    """

    news: asyncio.Event
    objects: Callable[[], Mapping[Key, Manifest]]
    """All that the mesh reads: `pipeline.objects`."""
    findings: Callable[[], Sequence[Finding]]
    """What is wrong with them: the source's, the compiler's and the proxies' together."""
    namespaces: Callable[[], AbstractSet[str]]
    """Of the mesh. Status and Events are written for objects in these, and in the mesh's own.

    Not in those of a former mesh: its control plane writes their status, and would take ours away."""
    served: Callable[[], AbstractSet[str]]
    """Where pods get the mesh's proxies, those that were taken over too: these read files."""
    proxy_files: Callable[[], Mapping[str, str]]
    """What the ConfigMap `osm-proxy-files` holds; empty while it is not known."""
    documents: Callable[[], Sequence[Document]]
    """Webhook configurations and CRDs as they should be, with `caBundle`; none while not known."""
    refused: Callable[[], Sequence[RefusedObject]] = lambda: ()
    """What this replica's own proxies refuse, by object."""


async def write_while_leading(
    server: ApiServer,
    installation: Installation,
    pod_name: str,
    inputs: WriterInputs,
    *,
    observe: Callable[[bool], None] = lambda _: None,
    rng: Random | None = None,
    times: LeaseTimes | None = None,
    refusal_times: RefusalTimes | None = None,
) -> None:
    """Contend for the Lease and write while it is held; tell what this replica's proxies refuse, who
    ever holds it. Runs until it is cancelled, and then gives the Lease back (within 3 s). Never raises
    because of the cluster.

    `observe` hears whether this replica leads, with each change: for a metric. `times` of the Lease
    are client-go's unless a test shortens them.
    """
    told_times = refusal_times or RefusalTimes()
    rng = rng or Random()  # noqa: S311 jitter only
    leadership = Leadership(
        server,
        LeaseName(installation.namespace, installation.lease, selecting(installation.mesh)),
        # A container that was started again has its pod's name, and not its predecessor's Lease.
        f"{pod_name}_{uuid.uuid4()}",
        rng=rng,
        times=times,
        observe=observe,
    )

    async def lead() -> None:
        write = leadership.fence(server.request)
        heard = RefusalsHeard(
            server, write, installation, pod_name, rng, told_times, on_news=inputs.news.set
        )
        await _Term(server, write, installation, pod_name, inputs, heard, rng).run()

    own = RefusalsTold(server, installation, pod_name, inputs.refused, rng, told_times)
    async with asyncio.TaskGroup() as group:
        group.create_task(own.run())
        group.create_task(leadership.run(lead))


class _Term:
    """One time of leading: begins with what the cluster says, and remembers nothing from before."""

    def __init__(
        self,
        server: ApiServer,
        write: Write,
        installation: Installation,
        pod_name: str,
        inputs: WriterInputs,
        heard: RefusalsHeard,
        rng: Random,
    ) -> None:
        self._inputs = inputs
        self._heard = heard
        self._installation = installation
        self._own_pod = Key("", "Pod", installation.namespace, pod_name)
        self._events = EventWriter(write, pod_name, rng)
        self._status = StatusWriter(server, write, rng)
        self._files = ProxyFilesKeeper(server, write, installation, rng)
        self._guard = Guard(server, write, rng, self._events.tell)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for part in (self._heard, self._events, self._status, self._files, self._guard):
                group.create_task(part.run())
            while True:
                self._inputs.news.clear()
                self._look()
                await asyncio.sleep(QUIET_S)
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._inputs.news.wait()
                except TimeoutError:
                    pass

    def _look(self) -> None:
        """Hand on what is wanted now. Pods wait for their files, so these come first."""
        inputs = self._inputs
        self._files.want(inputs.served(), inputs.proxy_files())
        self._guard.want(inputs.documents())
        if self._heard.is_settled:  # else an object might seem to be programmed for a moment
            self._say(inputs.objects(), {*inputs.namespaces(), self._installation.namespace})

    def _say(self, objects: Mapping[Key, Manifest], ours: AbstractSet[str]) -> None:
        """Hand on what is wrong, and with what, in these namespaces."""
        inputs = self._inputs
        found = findings_of_all(inputs.findings(), inputs.refused(), self._heard.others)
        findings = findings_by_object(found, objects, self._installation.namespace)
        self._status.want(objects, findings, ours)
        of_mesh = {
            key: found
            for key, found in findings.items()
            if key is None or (key.namespace or key.name) in ours  # the latter: a Namespace
        }
        self._events.keep(self._happenings(of_mesh, objects))

    def _happenings(
        self, findings: Mapping[Key | None, tuple[Finding, ...]], objects: Mapping[Key, Manifest]
    ) -> Iterator[Happening]:
        for each in told(findings, self._status.lacks_status):
            # What is about the whole mesh stands beside the control plane's own pod, as OSM's did.
            regarding = _regarding(each.key or self._own_pod, objects)
            if regarding is not None:
                yield Happening(regarding, each.reason, each.note)


_VERSIONS = {"": "v1", APPS: f"{APPS}/v1", BATCH: f"{BATCH}/v1"}


def _regarding(key: Key, objects: Mapping[Key, Manifest]) -> Regarding | None:
    """An object as Events name it; None for one of a kind that no API server has."""
    kind = kind_of(key.group, key.kind)
    api_version = kind.api_version if kind else _VERSIONS.get(key.group)
    if api_version is None:
        return None
    manifest = objects.get(key)
    uid = manifest.object.metadata.uid if manifest else ""
    return Regarding(api_version, key.kind, key.name, key.namespace, uid)
