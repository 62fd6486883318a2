"""The same change in meshes of several sizes: what grows with the mesh is seen as a slope."""

import msgspec

from bench.cases.case import Case, Size
from bench.cases.changes import endpoint_rounds
from bench.figures import Figure, Result, Table, middle, number
from bench.kernel import MEBIBYTE
from bench.rig import Setting, chosen, rig
from bench.rounds import measure_idle

REPLICAS = 5
FEW = 10
"""Proxies of the meshes in which only services grow: ten, so that ten hold what changes."""


class Point(msgspec.Struct, frozen=True):
    """One mesh: median latency and CPU of a change (each twice), memory, and CPU at rest."""

    services: int
    proxies: int
    latency_ms: tuple[float, float]
    cpu_ms: tuple[float, float]
    private_mib: float
    idle_percent: float


def point(setting: Setting, rounds: int) -> Point:
    """Measure one mesh."""
    with rig(setting) as made:
        idle = measure_idle(made, 5)
        # Only services that ten proxies hold: with few proxies those of the first block.
        reach = min(setting.services, setting.proxies)
        services = [each % reach for each in chosen(max(reach, rounds), rounds)]
        measured = endpoint_rounds(made, services)
        private = made.controller.memory().private / MEBIBYTE
    halves = measured[::2], measured[1::2]
    return Point(
        setting.services,
        setting.proxies,
        (middle([r.last_ms for r in halves[0]]), middle([r.last_ms for r in halves[1]])),
        (middle([r.cpu_ms for r in halves[0]]), middle([r.cpu_ms for r in halves[1]])),
        private,
        idle.value,
    )


def sweeps(size: Size) -> dict[str, tuple[Setting, ...]]:
    """The meshes to measure, by what grows."""
    services = (10, 50) if size.quick else (10, 100, 1000, 3000)
    proxies = (10, 50) if size.quick else (10, 100, 1000)
    return {
        "services": tuple(Setting(n, REPLICAS, FEW) for n in services),
        "proxies": tuple(Setting(proxies[-1], REPLICAS, n) for n in proxies),
        "both": tuple(Setting(n, REPLICAS, n) for n in proxies),
    }


def growth(size: Size) -> Result:
    """One endpoint changes; ten proxies hold it in every one of these meshes."""
    wanted = sweeps(size)
    measured = {
        setting: point(setting, size.pick(20, 2))
        for setting in sorted({each for settings in wanted.values() for each in settings})
    }
    figures: list[Figure] = []
    rows = []
    for what, settings in wanted.items():
        points = [measured[each] for each in settings]
        least, most = points[0], points[-1]
        by = f"{what} {wanted_range(what, settings)}"
        figures += [
            Figure(
                f"growth: CPU for a change, {by}",
                most.cpu_ms[0] / least.cpu_ms[0],
                "×",
                most.cpu_ms[1] / least.cpu_ms[1],
            ),
            Figure(
                f"growth: latency, {by}",
                most.latency_ms[0] / least.latency_ms[0],
                "×",
                most.latency_ms[1] / least.latency_ms[1],
            ),
        ]
        rows += [row(what, each) for each in points]
    head = (
        "what grows", "services", "proxies", "p50, ms", "control", "CPU, ms", "control",
        "private, MiB", "CPU at rest, %",
    )  # fmt: skip
    return Result(
        "growth",
        "an endpoint comes or goes, 10 proxies hold it, in meshes of several sizes",
        f"{REPLICAS} workloads a service; where only services grow, {FEW} proxies",
        tuple(figures),
        (Table(head, tuple(rows)),),
    )


def wanted_range(what: str, settings: tuple[Setting, ...]) -> str:
    """From how many to how many."""
    first, last = settings[0], settings[-1]
    if what == "services":
        return f"{first.services} to {last.services:,}"
    return f"{first.proxies} to {last.proxies:,}"


def row(what: str, each: Point) -> tuple[str, ...]:
    """A line of the table."""
    return (
        what,
        str(each.services),
        str(each.proxies),
        number(each.latency_ms[0]),
        number(each.latency_ms[1]),
        number(each.cpu_ms[0]),
        number(each.cpu_ms[1]),
        number(each.private_mib),
        number(each.idle_percent),
    )


CASES = (Case("growth", growth),)
