"""From nothing: the controller starts, proxies connect, all of them come back after a crash."""

import time

from bench.cases.case import Case, Size, describe
from bench.figures import Figure, Result, Table, number
from bench.fleet import Tally
from bench.kernel import MEBIBYTE, Memory
from bench.rig import RunningMesh, Setting, rig
from bench.rounds import measure_idle
from osm.core.xds import types


class Start:
    """What one start of everything took."""

    def __init__(self, made: RunningMesh, idle_s: float) -> None:
        osm, fleet = made.controller, made.fleet
        self.ready_s = (osm.start() - osm.started_at) / 1e9
        self.ready_cpu_s = osm.cpu_ns() / 1e9
        self.empty: Memory = osm.memory()
        made.introduce()
        fleet.mark()
        cpu = osm.cpu_ns()
        connected = fleet.connect(0, made.setting.proxies)
        synced = made.sync().synced.values()
        self.sync_s = (max(at for _, at in synced) - connected) / 1e9
        self.sync_cpu_ms = (osm.cpu_ns() - cpu) / 1e6 / made.setting.proxies
        made.settle()
        self.memory: Memory = osm.memory()
        counts = fleet.counts()
        self.sent, self.types = counts.total(), counts.types
        self.idle = measure_idle(made, idle_s)


def start(size: Size) -> Result:
    """The controller starts, and all proxies connect at once."""
    setting = Setting(size.pick(1000, 50), 5, size.pick(1000, 50))
    starts: list[Start] = []
    for _ in range(2):
        with rig(setting, connected=False) as made:
            starts.append(Start(made, size.pick(10, 2)))
    one, two = starts
    proxies = setting.proxies
    return Result(
        "start",
        "the controller starts, and all proxies connect at once",
        describe(setting),
        (
            Figure("start: process to first model, serving", one.ready_s, "s", two.ready_s),
            Figure("start: CPU until then", one.ready_cpu_s, "s", two.ready_cpu_s),
            Figure("start: all proxies connected and in sync", one.sync_s, "s", two.sync_s),
            Figure("start: CPU for a proxy that connects", one.sync_cpu_ms, "ms", two.sync_cpu_ms),
            Figure(
                "start: bytes to a proxy that connects",
                one.sent.bytes / proxies,
                "bytes",
                two.sent.bytes / proxies,
            ),
            Figure("start: resources sent twice", one.sent.duplicates, "count", None, 0),
            Figure(
                "memory with no proxy, resident",
                one.empty.resident / MEBIBYTE,
                "MiB",
                two.empty.resident / MEBIBYTE,
            ),
            Figure(
                "memory with all connected, resident",
                one.memory.resident / MEBIBYTE,
                "MiB",
                two.memory.resident / MEBIBYTE,
                400,
            ),
            Figure(
                "memory with all connected, private",
                one.memory.private / MEBIBYTE,
                "MiB",
                two.memory.private / MEBIBYTE,
            ),
            Figure(
                "the controller at rest, all connected: CPU",
                one.idle.value,
                "% of a core",
                two.idle.value,
            ),
        ),
        (by_type(one, proxies),),
    )


def by_type(one: Start, proxies: int) -> Table:
    """What a proxy that connects gets."""
    rows = [
        (
            types.SHORT_NAMES[type_url],
            number(tally.responses / proxies),
            number(tally.resources / proxies),
            number(round(tally.bytes / proxies)),
        )
        for type_url, tally in sorted(one.types.items(), key=lambda item: -item[1].bytes)
    ]
    return Table(("type", "responses", "resources", "bytes"), tuple(rows))


class Return:
    """What it took until all proxies were back after a SIGKILL."""

    def __init__(self, made: RunningMesh) -> None:
        osm, fleet = made.controller, made.fleet
        fleet.mark()
        osm.kill()
        while fleet.counts().synced:
            time.sleep(0.02)
        serving = osm.start()
        back = max(at for _, at in made.sync().synced.values())
        self.start_s = (serving - osm.started_at) / 1e9
        self.all_s = (back - osm.started_at) / 1e9
        self.sync_s = (back - serving) / 1e9
        self.cpu_s = osm.cpu_ns() / 1e9
        made.settle()
        self.sent: Tally = fleet.counts().total()
        self.blocked_ms = osm.longest_pause_ms()


def restart(size: Size) -> Result:
    """The controller is killed and started again; all proxies come back with what they hold."""
    setting = Setting(size.pick(1000, 50), 5, size.pick(500, 50))
    with rig(setting) as made:
        one, two = Return(made), Return(made)
    return Result(
        "restart",
        "the controller is killed and started again; all proxies come back by themselves",
        describe(setting),
        (
            Figure("restart: start to all in sync", one.all_s, "s", two.all_s, 20),
            Figure("restart: of that, until it serves", one.start_s, "s", two.start_s),
            Figure("restart: of that, until all are back", one.sync_s, "s", two.sync_s),
            Figure("restart: CPU in all", one.cpu_s, "s", two.cpu_s),
            Figure(
                "restart: resources sent that were held",
                one.sent.duplicates,
                "count",
                two.sent.duplicates,
                0,
            ),
            Figure(
                "restart: bytes to a proxy",
                one.sent.bytes / setting.proxies,
                "bytes",
                two.sent.bytes / setting.proxies,
            ),
            Figure(
                "restart: the event loop's longest pause",
                one.blocked_ms,
                "ms",
                two.blocked_ms,
                250,
            ),
        ),
        remarks=(
            "Certificates of workloads are issued anew by a controller that starts: those are sent.",
        ),
    )


CASES = (Case("start", start), Case("restart", restart))
