"""One edit after the other, each measured from the edit to the last acknowledgement."""

import random
import time
from collections.abc import Callable, Sequence

import msgspec

from bench.figures import Figure, middle, percentile
from bench.fleet import Tally
from bench.rig import RunningMesh

LIMIT_S = 30.0
REST_S = 0.25
"""How long after the last acknowledgement the work for an edit may go on, and is counted."""
SURE_S = 1.5
"""How long nothing must come after an edit that nobody should hear of."""
PAUSE_S = 0.3
"""At most, and by chance, before the next edit: what happens once a second must not keep time with us."""


class Round(msgspec.Struct, frozen=True):
    """One edit, made `at`: milliseconds to the first and the last acknowledgement, what was sent to whom."""

    at: int
    first_ms: float
    last_ms: float
    cpu_ms: float
    holders: Tally
    others: Tally


class Edit(msgspec.Struct, frozen=True):
    """`make` does it and returns when; the streams in `holders` must be told of `name`."""

    type: str
    name: str
    holders: tuple[int, ...]
    make: Callable[[], int]


def measure_idle(rig: RunningMesh, seconds: float) -> Figure:
    """Watch the controller do nothing."""
    cpu, at = rig.controller.cpu_ns(), time.monotonic_ns()
    time.sleep(seconds)
    rate = (rig.controller.cpu_ns() - cpu) / (time.monotonic_ns() - at)
    return Figure("the controller at rest: CPU", rate * 100, "% of a core")


def measure(rig: RunningMesh, edit: Edit) -> Round:
    """Make one edit, and wait until all of its holders have acknowledged it."""
    time.sleep(random.uniform(0, PAUSE_S))
    rig.fleet.mark(edit.type, [edit.name])
    cpu = rig.controller.cpu_ns()
    at = edit.make()
    found = rig.fleet.wait(len(edit.holders), LIMIT_S)
    if not found.complete:
        raise RuntimeError(f"{len(found.events)} of {len(edit.holders)} got {edit.name}")
    time.sleep(REST_S)
    used = rig.controller.cpu_ns() - cpu
    if not edit.holders:
        time.sleep(SURE_S - REST_S)
    counts = rig.fleet.counts()
    holders = set(edit.holders)
    acknowledged = [event.acknowledged - at for event in found.events] or [0]
    return Round(
        at,
        min(acknowledged) / 1e6,
        max(acknowledged) / 1e6,
        used / 1e6,
        counts.total(edit.holders),
        counts.total([stream for stream in counts.streams if stream not in holders]),
    )


def figures(what: str, rounds: Sequence[Round], budget_ms: float | None = None) -> list[Figure]:
    """Of all rounds; the control are the odd ones against the even ones."""
    halves = (rounds[::2], rounds[1::2])

    def figure(
        name: str, unit: str, of: Callable[[Sequence[Round]], float], budget: float | None = None
    ) -> Figure:
        value, control = (of(half) for half in halves)
        return Figure(f"{what}: {name}", value, unit, control, budget)

    def latency(percent: float) -> Callable[[Sequence[Round]], float]:
        return lambda some: percentile([each.last_ms for each in some], percent)

    told = len(rounds)
    holders = sum((each.holders for each in rounds), Tally())
    others = sum((each.others for each in rounds), Tally())
    return [
        figure("change to last acknowledgement, p50", "ms", latency(50)),
        figure("change to last acknowledgement, p99", "ms", latency(99), budget_ms),
        figure("controller's CPU for a change, p50", "ms", lambda s: middle([e.cpu_ms for e in s])),
        Figure(f"{what}: responses to holders, a change", holders.responses / told, "count"),
        Figure(f"{what}: bytes to holders, a change", holders.bytes / told, "bytes"),
        Figure(f"{what}: resources that they had already", holders.duplicates, "count", None, 0),
        Figure(f"{what}: responses to all others", others.responses, "count", None, 0),
    ]
