"""The same mesh in a real API server: starts, changes, what means nothing, and a crash."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from bench.cases.case import Size, describe
from bench.cases.changes import access_rounds, endpoint_rounds, setting, split_rounds
from bench.cases.starts import Return, Start
from bench.cases.storms import burst_figures
from bench.figures import Figure, Result, middle, percentile
from bench.kernel import MEBIBYTE
from bench.kubernetes.rig import KubernetesRig, kubernetes_rig
from bench.rig import chosen
from bench.rounds import Edit, Round, figures, measure

_REMARK = (
    "A change begins right before its request to the API server is sent. The plain watch is one of "
    "the harness's own, beside the controller's: what it waits for, everybody waits for."
)


class TimedChange(msgspec.Struct, frozen=True):
    """Ms from a change's request to a plain watch's sight of it, and from there to the last holder."""

    seen_ms: float
    ours_ms: float


def kubernetes(size: Size) -> Result:
    """One cluster for all of it: to make its objects takes longest."""
    mesh = setting(size)
    found: list[Figure] = []
    with kubernetes_rig(mesh) as made:
        found += _starts(made, size)
        endpoint_changes = endpoint_rounds(made, chosen(mesh.services, size.pick(100, 6)))
        found += _changes(made, "endpoint", endpoint_changes, budget_ms=50)
        services = chosen(mesh.services, size.pick(25, 4))
        # What the last compilation took tells nothing here: it may be that of a status of our own.
        access, _ = access_rounds(made, services)
        found += _changes(made, "access rule", access)
        found += _changes(made, "split weight", split_rounds(made, services))
        found += burst_figures(made, "kubernetes, burst", size.pick(20, 3))
        found += _nothing(made, size)
        found.append(_memory_now(made))
        found += _crashes(made)
    return Result(
        "kubernetes",
        "the mesh in a real API server, and proxies that show their pods' tokens",
        f"{describe(mesh)}; etcd and kube-apiserver on the same machine, no nodes",
        tuple(found),
        remarks=(_REMARK,),
    )


def _starts(made: KubernetesRig, size: Size) -> Iterator[Figure]:
    """From nothing, and again: proxies come that hold nothing."""
    one = Start(made, size.pick(10, 2))
    made.begin_again()
    two = Start(made, size.pick(10, 2))

    def figure(
        what: str, unit: str, of: Callable[[Start], float], budget: float | None = None
    ) -> Figure:
        return Figure(f"kubernetes, start: {what}", of(one), unit, of(two), budget)

    proxies = made.setting.proxies
    yield figure("process to ready", "s", lambda s: s.ready_s, 30)
    yield figure("CPU until then", "s", lambda s: s.ready_cpu_s)
    yield figure("memory then, resident", "MiB", lambda s: s.empty.resident / MEBIBYTE, 400)
    yield figure("all proxies connected and in sync", "s", lambda s: s.sync_s)
    yield figure("CPU for a proxy that connects", "ms", lambda s: s.sync_cpu_ms)
    yield figure("bytes to a proxy that connects", "bytes", lambda s: s.sent.bytes / proxies)
    yield figure("resources sent twice", "count", lambda s: s.sent.duplicates, 0)
    yield figure(
        "memory with all connected, resident", "MiB", lambda s: s.memory.resident / MEBIBYTE, 400
    )
    yield figure("memory with all connected, private", "MiB", lambda s: s.memory.private / MEBIBYTE)
    yield figure("at rest, all connected: CPU", "% of a core", lambda s: s.idle.value)


def _changes(
    made: KubernetesRig, what: str, rounds: Sequence[Round], *, budget_ms: float | None = None
) -> Iterator[Figure]:
    """As elsewhere, and what part of the time is whose."""
    name = f"kubernetes, {what}"
    yield from figures(name, rounds, budget_ms)
    parts = [_parts(made, each) for each in rounds]
    for percent in (50, 99):
        for part, of in _PARTS.items():
            halves = [[of(p) for p in half] for half in (parts[::2], parts[1::2])]
            value, control = (percentile(half, percent) for half in halves)
            yield Figure(f"{name}: {part}, p{percent}", value, "ms", control)


_PARTS: dict[str, Callable[[TimedChange], float]] = {
    "change to a plain watch's sight of it": lambda p: p.seen_ms,
    "from there to last acknowledgement": lambda p: p.ours_ms,
}


def _parts(made: KubernetesRig, one: Round) -> TimedChange:
    seen_ms = (made.witness.saw(made.objects.versions[one.at]) - one.at) / 1e6
    return TimedChange(seen_ms, one.last_ms - seen_ms)


def _nothing(made: KubernetesRig, size: Size) -> Iterator[Figure]:
    """What changes all the time in a cluster, and means nothing to the mesh; and what rest costs."""
    objects = made.objects
    kinds: dict[str, Callable[[int, str], int]] = {
        "a Service's annotation": lambda s, note: objects.set_service(s, note=note),
        "a pod's heartbeat": lambda s, _: objects.beat(s, 0),
        "a Lease": lambda _, __: objects.renew_lease(),
        "nothing at all": lambda _, __: time.monotonic_ns(),
    }
    services = chosen(made.setting.services, size.pick(8, 3))
    for what, write in kinds.items():
        rounds = [
            measure(made, Edit("", "", (), partial(write, s, note)))
            for s in services
            for note in ("changed", "")
        ]
        name = f"kubernetes, {what}"
        cpu = [each.cpu_ms for each in rounds]
        resources = sum(each.others.resources for each in rounds)
        yield Figure(f"{name}: resources", resources, "count", None, 0)
        yield Figure(f"{name}: bytes", sum(e.others.bytes for e in rounds), "bytes", None, 0)
        yield Figure(f"{name}: controller's CPU, p50", middle(cpu[::2]), "ms", middle(cpu[1::2]))


def _memory_now(made: KubernetesRig) -> Figure:
    """What it has come to with all that was done."""
    resident = made.controller.memory().resident / MEBIBYTE
    return Figure("kubernetes: memory after all of this, resident", resident, "MiB", None, 400)


def _crashes(made: KubernetesRig) -> Iterator[Figure]:
    """SIGKILL, a new process, and proxies that come back with what they hold; twice."""
    one, two = Return(made), Return(made)

    def figure(
        what: str, unit: str, of: Callable[[Return], float], budget: float | None = None
    ) -> Figure:
        return Figure(f"kubernetes, restart: {what}", of(one), unit, of(two), budget)

    proxies = made.setting.proxies
    yield figure("start to all in sync", "s", lambda r: r.all_s, 20)
    yield figure("of that, until it is ready", "s", lambda r: r.start_s)
    yield figure("of that, until all are back", "s", lambda r: r.sync_s)
    yield figure("CPU in all", "s", lambda r: r.cpu_s)
    yield figure("resources sent that were held", "count", lambda r: r.sent.duplicates, 0)
    yield figure("bytes to a proxy", "bytes", lambda r: r.sent.bytes / proxies)
    yield figure("the event loop's longest pause", "ms", lambda r: r.blocked_ms, 250)
