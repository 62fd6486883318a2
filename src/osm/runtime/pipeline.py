"""The way of a change (DESIGN §5): objects in, a model out, the proxies that it concerns told.

Bursts are merged. A part that cannot be compiled stays as it was (an access rule grants nothing
then), and says so.
"""

import time
from collections.abc import Iterable

import msgspec
import structlog

from osm.ads.control_plane import ControlPlane
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import Compiler
from osm.core.compile.options import CompileOptions
from osm.core.explain.view import PushView
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

    def __init__(self, options: CompileOptions, control_plane: ControlPlane) -> None:
        self._compiler = Compiler(options)
        self._control_plane = control_plane
        self.objects: dict[Key, Manifest] = {}
        self._waiting: Debounce[Batch] = Debounce(_merge)
        self.last_push = PushView()
        self.failures: tuple[str, ...] = ()
        """What of the present objects could not be compiled, and why: mistakes of ours."""

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
            self._compile(await self._waiting.take())

    async def settle(self) -> None:
        """Compile what waits now, before `run` does: for the first model of all."""
        if self._waiting.is_pending:
            self._compile(await self._waiting.take())

    def _compile(self, batch: Batch) -> None:
        for key in batch.deleted:
            self.objects.pop(key, None)
        self.objects.update({manifest.key: manifest for manifest in batch.applied})
        started = time.perf_counter()
        compiled = self._compiler.update(batch.applied, batch.deleted)
        took = time.perf_counter() - started
        self.failures = compiled.failures
        for failure in compiled.failures:
            log.error("a part of the mesh cannot be compiled", failure=failure)
        published = self._control_plane.publish(compiled, trigger=batch.trigger)
        self.last_push = PushView(
            trigger=batch.trigger,
            compile_ms=round(took * 1000, 2),
            deliver_ms=round(published.took_ms, 2),
            resources=published.built,
            pushes=published.streams,
        )


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
