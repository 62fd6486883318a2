"""Many changes: ten a second, and endpoints that come and go all over the mesh."""

import time
from collections import defaultdict
from collections.abc import Sequence

from bench.cases.case import Case, RigCase, Size, describe
from bench.cases.changes import setting
from bench.figures import Figure, Result, percentile
from bench.fleet import Arrival
from bench.rig import Rig, RunningMesh, Setting, chosen, cluster, rig
from bench.rounds import LIMIT_S, measure_idle
from osm.core.xds import types

CANARIES_EACH_S = 2
FLIPS_AT_ONCE = 10


def burst(rig: Rig, size: Size) -> Result:
    """Ten endpoint changes a second, each of another service."""
    seconds = size.pick(60, 5)
    idle = measure_idle(rig, size.pick(10, 2))
    return Result(
        "burst",
        "ten endpoint changes a second, each of another service that 10 proxies hold",
        f"{describe(rig.setting)}, {seconds} s",
        (*burst_figures(rig, "burst", seconds), idle),
    )


def burst_figures(rig: RunningMesh, what: str, seconds: int) -> Sequence[Figure]:
    """What so many seconds of changes cost. All is as it was afterwards."""
    services = chosen(rig.setting.services, seconds * 10)
    rig.fleet.mark(types.ENDPOINT, [cluster(each) for each in services])
    cpu, began = rig.controller.cpu_ns(), time.monotonic_ns()
    edits: list[int] = []
    for number, service in enumerate(services):
        time.sleep(max(0.0, number / 10 - (time.monotonic_ns() - began) / 1e9))
        edits.append(rig.objects.set_endpoints(service, frozenset({1})))
    took_ns = time.monotonic_ns() - began
    used = rig.controller.cpu_ns() - cpu
    expected = sum(len(rig.subscribers(each)) for each in services)
    found = rig.fleet.wait(expected, LIMIT_S)
    counts = rig.fleet.counts().total()
    latencies = last_arrivals(edits, found.events)
    for service in services:
        rig.objects.set_endpoints(service, frozenset())
    rig.settle()

    def latency(percent: float) -> Figure:
        value, control = (percentile(half, percent) for half in (latencies[::2], latencies[1::2]))
        return Figure(
            f"{what}: change to last acknowledgement, p{percent:.0f}", value, "ms", control
        )

    missed = expected - len(found.events)
    return (
        latency(50),
        latency(99),
        Figure(f"{what}: CPU", used / took_ns * 100, "% of a core"),
        Figure(f"{what}: responses", counts.responses, "count", None, expected),
        Figure(f"{what}: changes that did not reach everybody", missed, "count", None, 0),
    )


def last_arrivals(edits: Sequence[int], events: Sequence[Arrival]) -> list[float]:
    """For each edit, the ms until the last holder had acknowledged it."""
    last: dict[int, int] = defaultdict(int)
    for event in events:
        last[event.name] = max(last[event.name], event.acknowledged)
    return [(last[number] - at) / 1e6 for number, at in enumerate(edits) if last[number]]


def flapping(size: Size) -> Result:
    """A tenth of all endpoints comes or goes each second; one in a while is timed."""
    setting = Setting(size.pick(1000, 100), 10, size.pick(1000, 50), file_for_each_pod=True)
    seconds = size.pick(30, 5)
    with rig(setting) as made:
        return _flap(made, seconds)


def _flap(made: Rig, seconds: int) -> Result:
    services, replicas = made.setting.services, made.setting.replicas
    canaries = chosen(services, seconds * CANARIES_EACH_S)
    storm = [
        (service, replica)
        for replica in range(1, replicas)
        for service in sorted(set(range(services)) - set(canaries))
    ]
    rate = services * replicas // 10
    idle = measure_idle(made, 2)
    down: set[tuple[int, int]] = set()
    edits: list[int] = []
    made.fleet.mark(types.ENDPOINT, [cluster(each) for each in canaries])
    cpu, began = made.controller.cpu_ns(), time.monotonic_ns()
    for flip in range(rate * seconds):
        if flip % FLIPS_AT_ONCE == 0:
            time.sleep(max(0.0, flip / rate - (time.monotonic_ns() - began) / 1e9))
        if flip % (rate // CANARIES_EACH_S) == 0:
            edits.append(made.files.set_endpoint(canaries[len(edits)], 1, ready=False))
        target = storm[flip % len(storm)]
        down ^= {target}
        made.files.set_endpoint(*target, ready=target not in down)
    took_ns = time.monotonic_ns() - began
    used = made.controller.cpu_ns() - cpu
    expected = sum(len(made.subscribers(each)) for each in canaries)
    found = made.fleet.wait(expected, LIMIT_S)
    made.settle()
    counts = made.fleet.counts().total()
    lags = last_arrivals(edits, found.events)
    halves = lags[::2], lags[1::2]
    return Result(
        "flapping",
        "a tenth of all endpoints comes or goes each second",
        f"{describe(made.setting)}, {seconds} s",
        (
            Figure("flapping: flips made", rate * seconds / (took_ns / 1e9), "a second"),
            Figure("flapping: CPU", used / took_ns * 100, "% of a core"),
            idle,
            *(
                Figure(
                    f"flapping: lag, p{percent}",
                    percentile(halves[0], percent),
                    "ms",
                    percentile(halves[1], percent),
                )
                for percent in (50, 99)
            ),
            Figure(
                "flapping: responses for each flip", counts.responses / (rate * seconds), "count"
            ),
            Figure(
                "flapping: timed changes that did not reach everybody",
                expected - len(found.events),
                "count",
                None,
                0,
            ),
        ),
    )


CASES = (RigCase("burst", setting, burst),)
ALONE = (Case("flapping", flapping),)
