"""Costs of the control plane's steps, in CPU time of this process, each measured twice."""

import gc
import time
from collections.abc import Callable, Sequence

from bench.cases.case import Size
from bench.figures import Figure, Result
from bench.mesh import access, pod, snapshot
from osm.core.api.manifest import Manifest
from osm.core.compile.build import Compiler
from osm.core.compile.options import CompileOptions
from osm.core.derive.reads import Recorder
from osm.core.envoy.catalog import Catalog, Present, Value
from osm.core.envoy.render import render
from osm.core.model.identity import ProxyIdentity
from osm.core.model.recorded import RecordedModel
from osm.core.xds import types
from osm.core.xds.distribution import Distribution, Outcome

OPTIONS = CompileOptions(require_monitored_label=False, placement=True)
PRESENT = Present({}, b"")
REPLICAS = 5
USED = 10
ROUNDS = 5


def cpu_ms(work: Callable[[], object]) -> tuple[float, float]:
    """The lowest of several rounds, and the same again as control."""

    def best() -> float:
        times = []
        for _ in range(ROUNDS):
            gc.collect()
            started = time.process_time()
            work()
            times.append((time.process_time() - started) * 1000)
        return min(times)

    return best(), best()


def figure(
    what: str, measured: tuple[float, float], note: str = "", budget: float | None = None
) -> Figure:
    """One figure with its control."""
    return Figure(what, measured[0], "CPU ms", measured[1], budget, note)


class Mesh:
    """A compiler and a distribution, and the proxies of each service's first pod."""

    def __init__(self, services: int) -> None:
        self._compiler = Compiler(OPTIONS, snapshot(services, REPLICAS).objects.values())
        self._recorder = Recorder()
        self._distribution: Distribution[ProxyIdentity, Value] = Distribution(
            self._catalog(), render, self._recorder
        )
        for number in range(services):
            self._connect(number, services)

    def _catalog(self) -> Catalog:
        return Catalog(RecordedModel(self._compiler.model, self._recorder), PRESENT)

    def _connect(self, number: int, services: int) -> None:
        """The proxy calls the ten services after its own."""
        distribution = self._distribution
        distribution.attach(number, self._compiler.model.workloads["bench", f"s{number}-0"].proxy)
        for name in distribution.own_names(number, types.LISTENER):
            distribution.lookup(number, types.LISTENER, name)
        distribution.lookup(number, types.ROUTE, "rds-inbound.8080")
        for called in range(number + 1, number + 1 + USED):
            name = f"s{called % services}"
            distribution.lookup(number, types.VIRTUAL_HOST, f"rds-outbound.80/{name}.bench")
            distribution.lookup(number, types.CLUSTER, f"bench/{name}|8080")
            distribution.lookup(number, types.ENDPOINT, f"bench/{name}|8080")

    def change(self, objects: Sequence[Manifest]) -> Outcome:
        """Take new objects: compile, find whom it concerns, build what differs."""
        compiled = self._compiler.update(objects)
        return self._distribution.update(self._catalog(), compiled.changed)


def measure(services: int) -> list[Figure]:
    """The figures of a mesh of one size."""
    objects = snapshot(services, REPLICAS).objects.values()
    figures = [
        figure(
            f"compile a model from nothing: {services:,} services, {services * REPLICAS:,} workloads",
            cpu_ms(lambda: Compiler(OPTIONS, objects)),
            budget=2000,
        )
    ]
    mesh = Mesh(services)
    for what, versions, budget in (
        ("endpoint", [[pod(0, 1)], [pod(0, 1, ready=False)]], None),
        ("policy", [access(0), access(0, "/x")], 20),
    ):
        measured, last = alternate(mesh, versions)
        figures.append(
            figure(
                f"one {what} changes, {services:,} proxies: compile, find and build",
                measured,
                f"looked at {last.compared}, built {last.built}, told {len(last.changes)}",
                budget,
            )
        )
    return figures


def alternate(mesh: Mesh, versions: list[list[Manifest]]) -> tuple[tuple[float, float], Outcome]:
    """Change objects to one version and the other in turn; the cost, and what the last change did."""
    outcomes: list[Outcome] = []

    def flip() -> None:
        versions.reverse()
        outcomes.append(mesh.change(versions[0]))

    return cpu_ms(flip), outcomes[-1]


def in_process(size: Size) -> Result:
    """Meshes of several sizes, without sockets and files."""
    sizes = (10, 100) if size.quick else (10, 100, 1000)
    return Result(
        "in-process",
        "the steps alone, in one process, without sockets and files",
        f"the lowest of {ROUNDS} rounds",
        tuple(each for services in sizes for each in measure(services)),
    )
