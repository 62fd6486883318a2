"""With real Envoys: first requests, a sidecar's memory, and how changes reach them."""

import asyncio
import time
from collections.abc import Sequence

from bench.cases.case import Case, RigCase, Size, describe
from bench.cases.changes import setting
from bench.envoys import (
    MORE,
    Answer,
    RealPart,
    RealProxy,
    called,
    called_cluster,
    called_virtual_host,
    real_part,
    wait_until,
)
from bench.figures import Figure, Result, middle, percentile
from bench.kernel import MEBIBYTE
from bench.rig import Rig, Setting, rig
from bench.rounds import LIMIT_S
from osm.core.xds import types

USED = 10
CONCURRENT = 100
ENVOYS = 4
SIDECARS = 6
"""One Envoy's memory differs from another's by 2 MiB now and then, whatever they hold: three and three."""


def sidecar(size: Size) -> Result:
    """What a proxy takes that calls ten services, in a small mesh and in a large one."""
    few, many = size.pick(10, 10), size.pick(3000, 100)
    measured = {services: _sidecar_memory(services, size) for services in (few, many)}
    (small, small_control), (large, large_control) = measured[few], measured[many]
    return Result(
        "sidecar",
        f"a real Envoy that calls {USED} services, which answer",
        f"{few} and {many:,} other services in the mesh; the median of three Envoys, and of three more",
        (
            Figure(f"sidecar: private memory, {few} services", small, "MiB", small_control, 20),
            Figure(f"sidecar: private memory, {many:,} services", large, "MiB", large_control, 20),
            Figure(
                "sidecar: the difference", large - small, "MiB", large_control - small_control, 2
            ),
        ),
    )


def _sidecar_memory(services: int, size: Size) -> tuple[float, float]:
    with rig(Setting(services, 1, 0)) as made, real_part(made, USED, SIDECARS) as part:
        for caller in part.callers:
            asyncio.run(_ask_all(caller, range(USED), 20))
        time.sleep(size.pick(20, 3))  # what starting took is given back
        own = [caller.memory().private / MEBIBYTE for caller in part.callers]
    return middle(own[::2]), middle(own[1::2])


async def _ask_all(caller: RealProxy, numbers: Sequence[int], times: int = 1) -> list[Answer]:
    """One request after the other; every one must be answered."""
    answers = [await caller.request(called(n)) for _ in range(times) for n in numbers]
    if lost := [a.status for a in answers if a.status != 200]:
        raise RuntimeError(f"{len(lost)} of {len(answers)} requests were not answered: {set(lost)}")
    return answers


async def _ask_at_once(caller: RealProxy, numbers: Sequence[int]) -> list[Answer]:
    return await asyncio.gather(*(caller.request(called(n)) for n in numbers))


def first_request(size: Size) -> Result:
    """The first request to a service that the proxy never used, against the second."""
    each = size.pick(200, 20)
    mesh = Setting(size.pick(1000, 50), 5, 0)
    with rig(mesh) as made, real_part(made, each + CONCURRENT + 2, 1) as part:
        caller = part.callers[0]
        first = asyncio.run(_ask_all(caller, range(each)))
        second = asyncio.run(_ask_all(caller, range(each)))
        different = asyncio.run(_ask_at_once(caller, range(each, each + CONCURRENT)))
        same = asyncio.run(_ask_at_once(caller, [each + CONCURRENT] * CONCURRENT))
    return Result(
        "first-request",
        "a real Envoy's first request to a service, through another real Envoy to the application",
        f"{mesh.services + each + CONCURRENT:,} services, {each} of them asked one by one; "
        "the control are the odd ones",
        (
            *_latencies("first request", first, budget=8),
            *_latencies("second request", second),
            *_at_once(f"{CONCURRENT} first requests at once, to as many services", different),
            *_at_once(f"{CONCURRENT} first requests at once, to one service", same),
        ),
    )


def _latencies(what: str, answers: Sequence[Answer], budget: float | None = None) -> list[Figure]:
    times = [answer.took_ms for answer in answers]
    return [
        Figure(
            f"{what}, p{percent}",
            percentile(times[::2], percent),
            "ms",
            percentile(times[1::2], percent),
            budget if percent == 50 else None,
        )
        for percent in (50, 99)
    ]


def _at_once(what: str, answers: Sequence[Answer]) -> list[Figure]:
    lost = sum(answer.status != 200 for answer in answers)
    return [
        Figure(f"{what}: lost", lost, "count", None, 0),
        Figure(f"{what}: slowest", max(answer.took_ms for answer in answers), "ms"),
    ]


def real_envoys(made: Rig, size: Size) -> Result:
    """Real Envoys hold what changes, among simulated proxies that do."""
    simulated = list(made.streams)[:10]
    with real_part(made, 1, ENVOYS) as part:
        for type_url, name in (
            (types.VIRTUAL_HOST, called_virtual_host(0)),
            (types.CLUSTER, called_cluster(0)),
            (types.ENDPOINT, called_cluster(0)),
        ):
            made.fleet.subscribe(simulated, type_url, [name])
            made.sync()
        made.settle()
        acknowledged, seen = [], []
        for number in range(size.pick(40, 6)):
            one, other = _real_round(made, part, number, len(simulated))
            acknowledged.append(one)
            seen.append(other)
            time.sleep(0.2)
        part.set_more(0)  # who stands for more pods answers nothing
        wait_until(lambda: {p.members(called_cluster(0)) for p in part.callers} == {1}, "one pod")
        lost = sum(part.ask(caller, 0).status != 200 for caller in part.callers)
        proxies = made.controller.view()["proxies"]
        refused = sum(t["refused"] for p in proxies for t in p["types"])
    made.settle()
    return Result(
        "real-envoys",
        f"{ENVOYS} real Envoys and {len(simulated)} simulated proxies hold what changes",
        describe(made.setting),
        (
            Figure(
                "real Envoys: change to the last one's use of it, p50",
                middle(seen[::2]),
                "ms",
                middle(seen[1::2]),
                note="looked at every few ms",
            ),
            Figure(
                "the simulated ones beside them: change to last acknowledgement, p50",
                middle(acknowledged[::2]),
                "ms",
                middle(acknowledged[1::2]),
            ),
            Figure("real Envoys: configurations refused", refused, "count", None, 0),
            Figure("real Envoys: requests not answered after it", lost, "count", None, 0),
        ),
    )


def _real_round(made: Rig, part: RealPart, number: int, simulated: int) -> tuple[float, float]:
    """Ms until the simulated proxies have acknowledged a change, and until the real ones show it."""
    wanted = 1 + (number + 1) % (MORE + 1)
    made.fleet.mark(types.ENDPOINT, [called_cluster(0)])
    at = part.set_more(wanted - 1)
    waiting = set(part.callers)
    while waiting:
        waiting = {p for p in waiting if p.members(called_cluster(0)) != wanted}
        if time.monotonic_ns() - at > LIMIT_S * 1e9:
            raise RuntimeError(f"{len(waiting)} Envoys did not take the change")
    seen = time.monotonic_ns()
    found = made.fleet.wait(simulated, LIMIT_S)
    last = max(event.acknowledged for event in found.events)
    return (last - at) / 1e6, (seen - at) / 1e6


CASES = (RigCase("real-envoys", setting, real_envoys),)
ALONE = (Case("sidecar", sidecar), Case("first-request", first_request))
