"""The way of a change (DESIGN §5): objects in, a model out, the proxies that it concerns told.

Bursts are merged. A model that cannot be built leaves the last one in place, and says so.
"""

import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from osm.ads.control_plane import ControlPlane
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import compile_model
from osm.core.compile.options import CompileOptions
from osm.core.compile.snapshot import Snapshot
from osm.core.explain.view import PushView
from osm.core.model.mesh import Model
from osm.core.model.origin import Finding
from osm.kit.debounce import Debounce

log = structlog.get_logger("osm.pipeline")


class Batch(msgspec.Struct, frozen=True):
    """Changes that wait to be compiled, and what caused them."""

    applied: tuple[Manifest, ...] = ()
    deleted: tuple[Key, ...] = ()
    trigger: str = ""


class Pipeline:
    """One snapshot, one model. `run` belongs to a task; the rest may be called from the same loop."""

    def __init__(
        self,
        options: CompileOptions,
        control_plane: ControlPlane,
        on_model: Callable[[Model], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._control_plane = control_plane
        self._on_model = on_model
        self.snapshot = Snapshot()
        self._waiting: Debounce[Batch] = Debounce(_merge)
        self.last_push = PushView()
        self.failure = ""
        """Why the newest snapshot could not be compiled; empty when it could."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self._control_plane.model.findings

    def change(
        self, applied: Iterable[Manifest] = (), deleted: Iterable[Key] = (), *, trigger: str
    ) -> None:
        """Objects appeared, changed or went. Takes effect after the burst that this belongs to."""
        batch = Batch(tuple(applied), tuple(deleted), trigger)
        if batch.applied or batch.deleted:
            self._waiting.put(batch)

    async def run(self) -> None:
        """Compile and publish until cancelled."""
        while True:
            batch = await self._waiting.take()
            self.snapshot = self.snapshot.with_changes(batch.applied, batch.deleted)
            self.compile(batch.trigger)

    async def settle(self) -> None:
        """Compile what waits now, before `run` does: for the first model of all."""
        if self._waiting.is_pending:
            batch = await self._waiting.take()
            self.snapshot = self.snapshot.with_changes(batch.applied, batch.deleted)
            self.compile(batch.trigger)

    def compile(self, trigger: str) -> None:
        started = time.perf_counter()
        try:
            model = compile_model(self.snapshot, self._options)
            compiled = time.perf_counter()
            published = self._control_plane.publish(model)
        except Exception as error:  # whatever a compiler's mistake is, traffic goes on
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("the snapshot cannot be compiled; the last configuration stays")
            return
        self.failure = ""
        self.last_push = PushView(
            trigger=trigger,
            compile_ms=round((compiled - started) * 1000, 2),
            deliver_ms=round(published.took_ms, 2),
            resources=published.built,
            pushes=published.streams,
        )
        self._on_model(model)


def _merge(first: Batch, second: Batch) -> Batch:
    """What came later wins over what came before, object by object."""
    later = {m.key for m in second.applied}
    gone = set(second.deleted)
    applied = tuple(m for m in first.applied if m.key not in later | gone) + second.applied
    deleted = tuple(k for k in first.deleted if k not in later) + second.deleted
    triggers = dict.fromkeys(
        t for t in (*first.trigger.split(", "), *second.trigger.split(", ")) if t
    )
    return Batch(applied, deleted, ", ".join(list(triggers)[:5]))
