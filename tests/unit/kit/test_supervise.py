"""A task that fails is started again. Time is virtual: nothing here waits."""

import asyncio
from random import Random

import pytest
from structlog.testing import capture_logs

from osm.kit.backoff import Backoff
from osm.kit.supervise import supervise
from osm.testing.clock import run_in_virtual_time

BACKOFF = Backoff(base_s=1.0, ceiling_s=8.0)


class Failing:
    """Fails after each of the given run times, then returns."""

    def __init__(self, *lasts_s: float) -> None:
        self.lasts_s = list(lasts_s)
        self.starts: list[float] = []

    async def run(self) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        if self.lasts_s:
            await asyncio.sleep(self.lasts_s.pop(0))
            raise ValueError("it broke")


def test_a_task_is_started_again_until_it_returns() -> None:
    task = Failing(0, 0, 0)
    with capture_logs() as logs:
        run_in_virtual_time(supervise("scraper", task.run, rng=Random(1), backoff=BACKOFF))
    assert len(task.starts) == 4
    assert [(line["event"], line["task"], line["attempt"]) for line in logs] == [
        ("task_failed", "scraper", attempt) for attempt in (1, 2, 3)
    ]
    assert all(isinstance(line["exc_info"], ValueError) for line in logs)
    waits = [after - before for before, after in zip(task.starts, task.starts[1:], strict=False)]
    assert waits == pytest.approx([line["retry_s"] for line in logs], abs=0.01)
    assert all(wait <= limit for wait, limit in zip(waits, (1.01, 2.01, 4.01), strict=True))


def test_a_task_that_was_healthy_for_long_starts_again_soon() -> None:
    task = Failing(0, 0, 0, 0, 0, 61)
    with capture_logs() as logs:
        run_in_virtual_time(supervise("scraper", task.run, rng=Random(1), backoff=BACKOFF))
    assert [line["attempt"] for line in logs] == [1, 2, 3, 4, 5, 1]
    assert logs[-1]["retry_s"] <= 1.0


def test_cancelling_stops_the_task_for_good() -> None:
    async def main() -> int:
        task = Failing(1000, 1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(supervise("scraper", task.run, rng=Random(1)))
        return len(task.starts)

    assert run_in_virtual_time(main()) == 1
