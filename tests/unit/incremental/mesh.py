"""An incremental mesh beside one that is built from nothing."""

from collections.abc import Iterable
from typing import Any

from tests.unit.envoy.asking import all_names
from tests.unit.incremental.histories import Step, beginning, change

from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import Compiler, compile_model
from osm.core.compile.snapshot import Snapshot
from osm.core.derive.dependencies import Changed, Dependencies
from osm.core.derive.reads import Recorder, Watched
from osm.core.envoy.catalog import Catalog, Certificate, Present, Value
from osm.core.envoy.render import render
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.recorded import RecordedModel
from osm.core.xds import types
from osm.core.xds.distribution import Changes, Distribution
from osm.testing.builders import LOCAL

UNKNOWN = (
    (types.VIRTUAL_HOST, "rds-outbound.80/a"),
    (types.VIRTUAL_HOST, "rds-outbound.80/a.b"),
    (types.VIRTUAL_HOST, "rds-outbound/c.blue:81"),
    (types.VIRTUAL_HOST, "rds-outbound.80/x.test"),
    (types.VIRTUAL_HOST, "rds-outbound/x.test:81"),
    (types.VIRTUAL_HOST, "rds-outbound.5432/10.9.9.9"),
    (types.VIRTUAL_HOST, "rds-outbound.80/d"),
    (types.VIRTUAL_HOST, "rds-outbound/d.blue:81"),
    (types.CLUSTER, "x.test:80"),
    (types.CLUSTER, "x.test:8080"),
    (types.CLUSTER, "80"),
    (types.CLUSTER, "passthrough-outbound"),
    (types.CLUSTER, "10.1.0.9:80"),
    (types.ENDPOINT, "10.1.0.9:80"),
    (types.CLUSTER, "red/a|80"),
)
"""Asked for by every proxy, whether it exists or not."""


class Mesh:
    """What the control plane does, with proxies that hold all that they can."""

    def __init__(self) -> None:
        self.objects: dict[Key, Manifest] = {}
        self.compiler = Compiler(LOCAL)
        self.recorder = Recorder()
        self.certificates: dict[Identity, Certificate] = {}
        self.guarded: dict[ProxyIdentity, bool] = {}
        self.catalog = self.seen()
        self.distribution = Distribution[ProxyIdentity, Value](self.catalog, render, self.recorder)
        self.streams: dict[ProxyIdentity, int] = {}
        self.held: dict[int, dict[tuple[str, str], bytes | None]] = {}
        """What each proxy holds, were it told only of what changed for it."""

    def seen(self) -> Catalog:
        present = Present(
            Watched("certificates", self.certificates, self.recorder),
            b"roots",
            Watched("guarded", self.guarded, self.recorder),
        )
        return Catalog(RecordedModel(self.compiler.model, self.recorder), present)

    def take(self, steps: Iterable[Step]) -> None:
        """Steps at once: one update, as after a burst."""
        changes = [change(step) for step in steps]
        applied: dict[Key, Manifest] = {}
        deleted: dict[Key, None] = {}
        for each in changes:
            for manifest in each.applied:
                applied[manifest.key] = manifest
                deleted.pop(manifest.key, None)
            for key in each.deleted:
                deleted[key] = None
                applied.pop(key, None)
        for key in deleted:
            self.objects.pop(key, None)
        self.objects.update(applied)
        compiled = self.compiler.update(applied.values(), deleted)
        assert not compiled.failures
        self.tell(compiled.changed)
        for each in changes:
            self.meet(each.renewed, each.guarded)
        self.connect()

    def meet(self, renewed: int, guarded: int) -> None:
        """A new certificate for one of the identities, or one more guarded proxy."""
        proxies = sorted(self.streams)
        if not proxies:
            return
        if renewed >= 0:
            identity = proxies[renewed % len(proxies)].identity
            before = self.certificates.get(identity)
            version = f"{before.version}+" if before else "1"
            self.certificates[identity] = Certificate(b"chain", b"key", version)
            self.tell({"certificates": {identity}})
        if guarded >= 0:
            proxy = proxies[guarded % len(proxies)]
            self.guarded[proxy] = True
            self.tell({"guarded": {proxy}})

    def tell(self, changed: Changed) -> None:
        self.catalog = self.seen()
        outcome = self.distribution.update(self.catalog, changed)
        for stream, changes in outcome.changes.items():
            self.hold(stream, changes)

    def hold(self, stream: int, changes: Changes) -> None:
        for kind, names in changes.items():
            for name in names:
                resource = self.distribution.lookup(stream, kind, name)
                self.held[stream][kind, name] = resource.wire if resource else None

    def connect(self) -> None:
        """Proxies of new workloads connect, all ask for what there is, those of old ones go."""
        model = self.compiler.model
        known = {workload.proxy for workload in model.workloads.values()}
        for proxy in self.streams.keys() - known:
            stream = self.streams.pop(proxy)
            del self.held[stream]
            self.distribution.detach(stream)
        for proxy in sorted(known - self.streams.keys()):
            stream = self.streams[proxy] = max(self.held, default=0) + 1
            self.held[stream] = {}
            self.distribution.attach(stream, proxy)
        for proxy, stream in self.streams.items():
            own = [
                (kind, name)
                for kind in (*types.WILDCARD_TYPES, *types.PUSHED_TYPES)
                for name in self.distribution.own_names(stream, kind)
            ]
            for kind, name in [*UNKNOWN, *own, *all_names(model, self.catalog, proxy)]:
                if (kind, name) not in self.held[stream]:
                    self.hold(stream, {kind: {name}})

    def dependencies(self) -> Iterable[Dependencies[Any]]:
        """Everything that was recorded."""
        yield from self.compiler._tables._dependencies.values()
        yield self.distribution._dependencies
        yield self.distribution._own_dependencies

    def check(self) -> None:
        """Hold everything against what is built from nothing."""
        model = compile_model(Snapshot(self.objects), LOCAL)
        assert self.compiler.model == model
        present = Present(self.certificates, b"roots", self.guarded)
        catalog = Catalog(model, present)
        wires: dict[Value, bytes] = {}
        for proxy, stream in self.streams.items():
            for kind in (*types.WILDCARD_TYPES, *types.PUSHED_TYPES):
                own = self.distribution.own_names(stream, kind)
                assert own == set(catalog.names(proxy, kind)), (proxy, kind)
                assert all((kind, name) in self.held[stream] for name in own)
            for (kind, name), held in self.held[stream].items():
                value = catalog.value(catalog.scope(proxy, kind, name), kind, name)
                if value is not None and value not in wires:
                    wires[value] = render(value).wire
                expected = None if value is None else wires[value]
                assert held == expected, f"{proxy.name} holds another {kind} {name}"


def live(history: Iterable[Iterable[Step]]) -> Mesh:
    """Live through a history, and compare what came of it."""
    mesh = Mesh()
    mesh.take(beginning())
    for burst in history:
        mesh.take(burst)
    mesh.check()
    return mesh
