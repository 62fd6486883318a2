"""The way of a change (DESIGN §5): objects in, a model out, the proxies that it concerns told.

Bursts are merged. A part that cannot be compiled stays as it was (an access rule grants nothing
then), and says so.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

import msgspec
import structlog

from osm.ads.control_plane import ControlPlane
from osm.core.api.manifest import Key, Manifest
from osm.core.compile.build import Compiler
from osm.core.compile.options import CompileOptions
from osm.core.explain.view import PushView
from osm.core.model.mesh import Settings
from osm.core.model.origin import Finding
from osm.kit.debounce import Debounce

log = structlog.get_logger("osm.pipeline")


class Batch:
    """Objects that wait to be compiled (None: gone), and why. A later change replaces an earlier one."""

    def __init__(self, applied: Iterable[Manifest], deleted: Iterable[Key], trigger: str) -> None:
        self.objects: dict[Key, Manifest | None] = dict.fromkeys(deleted)
        self.objects.update({manifest.key: manifest for manifest in applied})
        self.triggers = dict.fromkeys(part for part in trigger.split(", ") if part)

    def absorb(self, later: "Batch") -> "Batch":
        """Add what came later, in place: a storm of changes costs what it holds, and no more."""
        self.objects.update(later.objects)
        self.triggers.update(later.triggers)
        return self

    @property
    def trigger(self) -> str:
        return ", ".join(list(self.triggers)[:5])


class Observer(Protocol):
    """Hears of changes: `osm.telemetry.control_plane` counts them."""

    def events_queued(self, count: int) -> None: ...

    def broadcast(self) -> None: ...


class Pipeline:
    """One snapshot, one model. `run` belongs to a task; the rest may be called from the same loop."""

    def __init__(
        self,
        options: CompileOptions,
        control_plane: ControlPlane,
        observer: Observer,
        on_settings: Callable[[Settings], None] = lambda _: None,
    ) -> None:
        """`on_settings` is called with each change of what MeshConfig says."""
        self._observer = observer
        self._on_settings = on_settings
        self._compiler = Compiler(options)
        self._control_plane = control_plane
        self.objects: dict[Key, Manifest] = {}
        self._waiting: Debounce[Batch] = Debounce(Batch.absorb)
        self._queued = 0
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self.on_published: Callable[[AbstractSet[str]], None] = lambda _: None
        """Called after each model that was handed on, with the kinds of the objects that changed."""
        self._unpublished: dict[str, set[Hashable]] = {}
        """What changed in models that were not handed on: whoever holds it must still hear of it."""
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
        batch = Batch(applied, deleted, trigger)
        if batch.objects:
            self._waiting.put(batch)
            self._queued += len(batch.objects)
            self._caught_up.clear()
            self._observer.events_queued(self._queued)

    async def run(self) -> None:
        """Compile and publish until cancelled."""
        while True:
            batch = await self._waiting.take()
            try:
                self._compile(batch)
            except Exception as error:  # whatever our mistake is, traffic and later changes go on
                self.failures = (f"{type(error).__name__}: {error}",)
                log.exception("a change was not taken over; proxies keep what they have")
            finally:
                self._caught_up.set()

    async def caught_up(self) -> None:
        """Wait until what has been changed so far is compiled, or cannot be."""
        await self._caught_up.wait()

    async def settle(self) -> None:
        """Compile what waits now, before `run` does: for the first model of all."""
        if self._waiting.is_pending:
            self._compile(await self._waiting.take())
            self._caught_up.set()

    def _compile(self, batch: Batch) -> None:
        applied = {key: manifest for key, manifest in batch.objects.items() if manifest}
        deleted = batch.objects.keys() - applied.keys()
        for key in deleted:
            self.objects.pop(key, None)
        self.objects.update(applied)
        started = time.perf_counter()
        compiled = self._compiler.update(applied.values(), deleted)
        took = time.perf_counter() - started
        self.failures = compiled.failures
        for failure in compiled.failures:
            log.error("a part of the mesh cannot be compiled", failure=failure)
        if "settings" in compiled.changed:
            self._on_settings(compiled.model.settings)
        for table, keys in compiled.changed.items():
            self._unpublished.setdefault(table, set()).update(keys)
        compiled = msgspec.structs.replace(compiled, changed=self._unpublished)
        published = self._control_plane.publish(compiled, trigger=batch.trigger)
        self._unpublished = {}
        self._queued = 0
        self._observer.events_queued(0)
        if published.streams and published.streams == len(self._control_plane.sessions):
            self._observer.broadcast()
        self.last_push = PushView(
            trigger=batch.trigger,
            compile_ms=round(took * 1000, 2),
            deliver_ms=round(published.took_ms, 2),
            resources=published.built,
            pushes=published.streams,
        )
        self.on_published({key.kind for key in batch.objects})
