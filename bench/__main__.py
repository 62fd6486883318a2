"""Costs of the control plane's steps, in CPU time of this process, each measured twice.

The second measurement of the same thing is the control: what the two differ by is noise.
"""

import gc
import time
from collections.abc import Callable

from bench.mesh import access, pod, snapshot
from osm.core.compile.build import compile_model
from osm.core.compile.options import CompileOptions
from osm.core.envoy.catalog import Catalog, Credentials, Value
from osm.core.envoy.render import render
from osm.core.model.identity import ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.core.xds.distribution import Distribution, Outcome

OPTIONS = CompileOptions(require_monitored_label=False)
CREDENTIALS = Credentials({}, b"")
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


def row(what: str, measured: tuple[float, float], note: str = "") -> None:
    """Print one figure with its control."""
    print(f"{what:<58} {measured[0]:>9.2f} {measured[1]:>9.2f}  {note}")


def connected(model: Model, services: int) -> Distribution[ProxyIdentity, Value]:
    """A proxy of each service's first pod, which calls ten services."""
    distribution: Distribution[ProxyIdentity, Value] = Distribution(
        Catalog(model, CREDENTIALS), render
    )
    for number in range(services):
        proxy = model.workloads["bench", f"s{number}-0"].proxy
        distribution.attach(number, proxy)
        for name in distribution.own_names(number, types.LISTENER):
            distribution.lookup(number, types.LISTENER, name)
        distribution.lookup(number, types.ROUTE, "rds-inbound.8080")
        for called in range(number + 1, number + 1 + USED):
            name = f"s{called % services}"
            distribution.lookup(number, types.VIRTUAL_HOST, f"rds-outbound.80/{name}.bench")
            distribution.lookup(number, types.CLUSTER, f"bench/{name}|8080")
            distribution.lookup(number, types.ENDPOINT, f"bench/{name}|8080")
    return distribution


def measure(services: int) -> None:
    """Print the figures of a mesh of one size."""
    whole = snapshot(services, REPLICAS)
    model = compile_model(whole, OPTIONS)
    row(
        f"compile a model: {services} services, {services * REPLICAS} workloads",
        cpu_ms(lambda: compile_model(whole, OPTIONS)),
    )
    distribution = connected(model, services)
    for what, change in (
        ("endpoint", [pod(0, 1, ready=False)]),
        ("policy", access(0, "/x")),
    ):
        measured, last = alternate(
            distribution, [compile_model(whole.with_changes(change), OPTIONS), model]
        )
        row(
            f"  one {what} changes, {services} proxies: find and build",
            measured,
            f"compared {last.compared}, built {last.built}, told {len(last.changes)}",
        )


def alternate(
    distribution: Distribution[ProxyIdentity, Value], models: list[Model]
) -> tuple[tuple[float, float], Outcome]:
    """Update to one model and the other in turn; the cost, and what the last update did."""
    outcomes: list[Outcome] = []

    def flip() -> None:
        models.reverse()
        outcomes.append(distribution.update(Catalog(models[0], CREDENTIALS)))

    return cpu_ms(flip), outcomes[-1]


def main() -> None:
    """Measure meshes of several sizes, and print a table."""
    print(f"{'CPU ms, lowest of ' + str(ROUNDS) + ' rounds':<58} {'measured':>9} {'control':>9}")
    for services in (10, 100, 1000):
        measure(services)


if __name__ == "__main__":
    main()
