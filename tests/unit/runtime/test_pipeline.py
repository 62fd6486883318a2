"""The way of a change: bursts are merged, and what cannot be compiled leaves the last model."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from osm.ads.control_plane import ControlPlane, Published
from osm.core.api.manifest import Key, Manifest
from osm.core.api.smi import TrafficTarget, TrafficTargetSpec
from osm.core.compile.build import Compiled
from osm.core.model.mesh import Model
from osm.runtime.pipeline import Pipeline
from osm.testing.builders import (
    LOCAL,
    Part,
    http_group,
    manifests,
    model,
    pod,
    service,
    target,
)
from osm.testing.clock import run_in_virtual_time

SHOP = pod("shop")
KEY = Key("", "Pod", "default", "shop")


class Plane(ControlPlane):
    """A control plane that remembers the models that were published."""

    def __init__(self) -> None:
        super().__init__(model(), b"roots")
        self.models: list[Model] = []

    def publish(self, compiled: Compiled, *, trigger: str) -> Published:
        self.models.append(compiled.model)
        return super().publish(compiled, trigger=trigger)


class Mesh:
    """A pipeline with the models that came out of it."""

    def __init__(self) -> None:
        self.plane = Plane()
        self.queued: list[int] = []
        self.pipeline = Pipeline(LOCAL, self.plane, self)

    def events_queued(self, count: int) -> None:
        self.queued.append(count)

    def broadcast(self) -> None:
        """Nobody is connected here."""

    @property
    def models(self) -> list[Model]:
        return self.plane.models

    def change(self, *parts: Part, deleted: tuple[Key, ...] = (), trigger: str = "test") -> None:
        self.pipeline.change(manifests(*parts), deleted, trigger=trigger)

    def workloads(self) -> list[str]:
        return [name for _, name in self.plane.model.workloads]


def running(story: Callable[[Mesh], Awaitable[None]]) -> Mesh:
    """Run a story beside a pipeline, in time that does not pass by itself."""

    async def main() -> Mesh:
        mesh = Mesh()
        task = asyncio.create_task(mesh.pipeline.run())
        try:
            await story(mesh)
            await asyncio.sleep(1)
        finally:
            task.cancel()
        return mesh

    return run_in_virtual_time(main())


def broken() -> Manifest:
    """An object that no compiler can read: what a mistake of ours would look like."""
    (fine,) = manifests(
        """
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: t, namespace: default}
spec: {destination: {kind: ServiceAccount, name: shop}, rules: [], sources: []}
"""
    )
    spec = TrafficTargetSpec(None)  # type: ignore[arg-type]
    return Manifest(fine.key, TrafficTarget(fine.object.metadata, spec), fine.raw)


def test_changes_of_one_burst_are_compiled_once() -> None:
    async def story(mesh: Mesh) -> None:
        for number in range(10):
            mesh.change(pod(f"p{number}", ip=f"10.0.0.{number + 1}"), trigger=f"file {number}")
            await asyncio.sleep(0.01)

    mesh = running(story)
    assert len(mesh.models) == 1 and len(mesh.workloads()) == 10
    assert mesh.queued == [*range(1, 11), 0]
    assert mesh.pipeline.last_push.trigger == "file 0, file 1, file 2, file 3, file 4"


def test_changes_apart_are_compiled_apart() -> None:
    async def story(mesh: Mesh) -> None:
        mesh.change(SHOP)
        await asyncio.sleep(0.1)
        mesh.change(deleted=(KEY,))

    mesh = running(story)
    assert [len(found.workloads) for found in mesh.models] == [1, 0]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        pytest.param([((SHOP,), ()), ((), (KEY,))], [], id="applied, then deleted"),
        pytest.param([((), (KEY,)), ((SHOP,), ())], ["shop"], id="deleted, then applied"),
        pytest.param(
            [((SHOP,), ()), ((), (KEY,)), ((SHOP,), ())], ["shop"], id="there and back again"
        ),
        pytest.param(
            [((SHOP,), ()), ((pod("other"),), (KEY,))], ["other"], id="replaced by another"
        ),
    ],
)
def test_in_a_burst_what_came_later_counts(
    steps: list[tuple[tuple[Part, ...], tuple[Key, ...]]], left: list[str]
) -> None:
    async def story(mesh: Mesh) -> None:
        for parts, deleted in steps:
            mesh.change(*parts, deleted=deleted)

    mesh = running(story)
    assert mesh.workloads() == left and len(mesh.models) == 1


def test_the_newest_form_of_an_object_in_a_burst_counts() -> None:
    async def story(mesh: Mesh) -> None:
        for ip in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            mesh.change(pod("shop", ip=ip))

    assert running(story).plane.model.workloads["default", "shop"].ip == "10.0.0.3"


def test_no_change_wakes_nobody() -> None:
    async def story(mesh: Mesh) -> None:
        mesh.change()

    assert running(story).models == []


def test_what_cannot_be_compiled_grants_nothing_disturbs_nothing_and_is_said() -> None:
    rule = target("t", "shop", ["default/buyer"], "HTTPRouteGroup/g")

    async def story(mesh: Mesh) -> None:
        mesh.change(SHOP, http_group("g"), rule)
        await asyncio.sleep(0.1)
        assert mesh.plane.model.access
        mesh.pipeline.change([broken()], trigger="broken")
        await asyncio.sleep(0.1)
        (failure,) = mesh.pipeline.failures
        assert failure.startswith("target_rules of TrafficTarget default/t: AttributeError: ")
        assert not mesh.plane.model.access
        mesh.change(pod("other", ip="10.0.0.2"))
        await asyncio.sleep(0.1)
        assert sorted(mesh.workloads()) == ["other", "shop"] and mesh.pipeline.failures
        mesh.change(deleted=(broken().key,))

    mesh = running(story)
    assert mesh.pipeline.failures == ()


def test_a_mistake_of_ours_stops_neither_traffic_nor_later_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish = Plane.publish
    told: list[object] = []

    def stumble(self: Plane, compiled: Compiled, *, trigger: str) -> Published:
        if trigger == "broken":
            raise RuntimeError("stumbled")
        told.append(compiled.changed["workloads"])
        return publish(self, compiled, trigger=trigger)

    monkeypatch.setattr(Plane, "publish", stumble)

    async def story(mesh: Mesh) -> None:
        mesh.change(SHOP, trigger="broken")
        await asyncio.sleep(0.1)
        assert mesh.pipeline.failures == ("RuntimeError: stumbled",)
        mesh.change(pod("other", ip="10.0.0.2"))

    mesh = running(story)
    assert sorted(mesh.workloads()) == ["other", "shop"] and mesh.pipeline.failures == ()
    assert told == [{("default", "other"), ("default", "shop")}], "both are told, the first one too"


def test_a_push_says_what_it_took() -> None:
    async def story(mesh: Mesh) -> None:
        mesh.change(SHOP, service("shop", 80))

    push = running(story).pipeline.last_push
    assert push.trigger == "test" and push.compile_ms > 0 and push.pushes == 0


def test_findings_are_those_of_the_present_model() -> None:
    async def story(mesh: Mesh) -> None:
        mesh.change(SHOP, service("shop", {"port": 80, "appProtocol": "mongo"}))

    assert [finding.code for finding in running(story).pipeline.findings] == ["OSM201"]


def test_settling_compiles_what_waits_at_once() -> None:
    async def main() -> Mesh:
        mesh = Mesh()
        mesh.change(SHOP)
        await mesh.pipeline.settle()
        await mesh.pipeline.settle()
        return mesh

    mesh = run_in_virtual_time(main())
    assert mesh.workloads() == ["shop"] and len(mesh.models) == 1
