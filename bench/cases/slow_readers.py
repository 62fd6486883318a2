"""Proxies that never read must cost the others nothing."""

import time

from bench.cases.case import Case, Size, describe
from bench.cases.changes import endpoint_rounds
from bench.figures import Figure, Result, percentile
from bench.kernel import MEBIBYTE
from bench.rig import Rig, Setting, chosen, rig
from bench.rounds import Round


def slow_readers(size: Size) -> Result:
    """The same changes without them, with them, and without them again."""
    setting = Setting(
        services=size.pick(1000, 200),
        replicas=5,
        proxies=size.pick(500, 50),
        mute=size.pick(50, 10),
        mute_names=size.pick(500, 150),
    )
    with rig(setting) as made:
        services = chosen(min(setting.mute_names, setting.proxies), size.pick(30, 4))
        before = endpoint_rounds(made, services)
        memory = made.controller.memory()
        made.fleet.connect(setting.proxies, setting.mute)
        made.settle()
        during = endpoint_rounds(made, services)
        grown = made.controller.memory().private - memory.private
        cut_off = _wait_until_cut_off(made, size.pick(100, 1))
    return Result(
        "slow-readers",
        "proxies that hold much and never read",
        describe(setting),
        (
            *(
                Figure(
                    f"slow readers: change to last acknowledgement, {when}, p{percent}",
                    percentile(half(some, 0), percent),
                    "ms",
                    percentile(half(some, 1), percent),
                )
                for when, some in (("without them", before), ("with them", during))
                for percent in (50, 99)
            ),
            Figure(
                "slow readers: p50 with them, of that without",
                ratio(during, before, 0),
                "×",
                ratio(during, before, 1),
            ),
            Figure("slow readers: cut off within 100 s", cut_off, "count"),
            Figure("slow readers: private memory for each", grown / MEBIBYTE / setting.mute, "MiB"),
        ),
    )


def _wait_until_cut_off(made: Rig, limit_s: float) -> int:
    """How many the controller says it cut off. They cannot tell: they do not read that either."""
    deadline = time.monotonic() + limit_s
    while (ended := int(made.controller.metric("osm_proxy_cut_off_count"))) < made.setting.mute:
        if time.monotonic() > deadline:
            break
        time.sleep(5)
    return ended


def half(rounds: list[Round], which: int) -> list[float]:
    """The last acknowledgements of every other round."""
    return [each.last_ms for each in rounds[which::2]]


def ratio(these: list[Round], those: list[Round], which: int) -> float:
    """How much slower every other round was."""
    return percentile(half(these, which), 50) / percentile(half(those, which), 50)


CASES = (Case("slow-readers", slow_readers),)
