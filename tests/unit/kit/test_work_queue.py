import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from random import Random
from typing import Any

from osm.kit.backoff import Backoff
from osm.kit.work_queue import Again, WorkQueue
from osm.testing.clock import run_in_virtual_time

Work = Callable[[str], Awaitable[Again | None]]


def begun(
    work: Work,
    puts: Callable[[WorkQueue[str]], Coroutine[Any, Any, None]],
    *,
    pause_s: float = 0.0,
    workers: int = 4,
) -> list[tuple[float, str]]:
    """When the queue began which key, in virtual time."""
    done: list[tuple[float, str]] = []

    async def note(key: str) -> Again | None:
        done.append((round(asyncio.get_running_loop().time(), 3), key))
        return await work(key)

    async def main() -> None:
        queue = WorkQueue[str](
            note, Random(1), backoff=Backoff(1.0, 8.0), pause_s=pause_s, workers=workers
        )
        task = asyncio.create_task(queue.run())
        await puts(queue)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_in_virtual_time(main())
    return done


async def at_once(_key: str) -> Again | None:
    return None


async def in_a_second(_key: str) -> Again | None:
    await asyncio.sleep(1)
    return None


def test_what_is_put_twice_is_done_once_and_what_is_put_meanwhile_once_more() -> None:
    async def puts(queue: WorkQueue[str]) -> None:
        for key in "aabab":
            queue.put(key)
        await asyncio.sleep(0.5)
        for _ in range(3):
            queue.put("a")
        await asyncio.sleep(10)

    assert begun(in_a_second, puts) == [(0.0, "a"), (0.0, "b"), (1.0, "a")]


def test_a_key_is_never_worked_on_twice_at_a_time() -> None:
    now: set[str] = set()

    async def work(key: str) -> Again | None:
        assert key not in now
        now.add(key)
        await asyncio.sleep(Random(len(now)).random())
        now.remove(key)
        return None

    async def puts(queue: WorkQueue[str]) -> None:
        for step in range(300):
            queue.put("abcdef"[step % 6], after_s=step % 3 / 10)
            await asyncio.sleep(0.01)
        await asyncio.sleep(20)

    assert {key for _, key in begun(work, puts)} == set("abcdef")


def test_a_failure_waits_longer_each_time_also_in_a_storm_of_puts() -> None:
    async def fails(_key: str) -> Again | None:
        return Again()

    async def puts(queue: WorkQueue[str]) -> None:
        for _ in range(300):
            queue.put("a")
            await asyncio.sleep(0.1)

    times = [at for at, _ in begun(fails, puts)]
    gaps = [later - at for at, later in pairwise(times)]
    for gap, limit in zip(gaps, (1, 2, 4, 8, 8, 8), strict=False):
        assert limit / 2 <= gap <= limit + 0.001
    assert len(times) <= 8


def test_a_success_ends_the_waiting_and_a_wait_is_no_failure() -> None:
    answers = [Again(), Again(), None, Again(3.0, failed=False), Again(), None]

    async def work(_key: str) -> Again | None:
        return answers.pop(0)

    async def puts(queue: WorkQueue[str]) -> None:
        queue.put("a")
        await asyncio.sleep(50)
        queue.put("a")
        await asyncio.sleep(50)

    times = [at for at, _ in begun(work, puts)]
    assert times[3] == 50
    assert times[4] == 53
    assert 0.5 <= times[5] - times[4] <= 1  # the first of a new row


def test_there_is_a_pause_between_keys_and_a_limit_at_a_time() -> None:
    async def puts(queue: WorkQueue[str]) -> None:
        for key in "abcd":
            queue.put(key)
        await asyncio.sleep(10)

    assert [at for at, _ in begun(at_once, puts, pause_s=0.25)] == [0, 0.25, 0.5, 0.75]
    assert [at for at, _ in begun(in_a_second, puts, workers=2)] == [0, 0, 1, 1]


def test_a_key_that_was_dropped_is_not_worked_on_and_its_failures_are_forgotten() -> None:
    async def fails(_key: str) -> Again | None:
        return Again(5.0)

    async def puts(queue: WorkQueue[str]) -> None:
        queue.put("a")
        await asyncio.sleep(1)
        queue.drop("a")
        await asyncio.sleep(30)
        queue.put("a")
        await asyncio.sleep(1)
        queue.drop("a")
        queue.put("a")
        await asyncio.sleep(1)

    assert begun(fails, puts) == [(0.0, "a"), (31.0, "a"), (32.0, "a")]
