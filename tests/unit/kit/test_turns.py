import asyncio
import time

from osm.kit.turns import Turns


async def busy(turns: Turns, seconds: float, done: list[int], number: int) -> None:
    await turns.take()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    done.append(number)


async def passes(count: list[int]) -> None:
    """Counts how often the event loop comes round."""
    while True:
        count[0] += 1
        await asyncio.sleep(0)


async def test_without_a_crowd_a_turn_is_there_at_once() -> None:
    turns = Turns()
    for _ in range(1000):
        coroutine = turns.take()
        try:
            coroutine.send(None)
        except StopIteration:
            continue
        raise AssertionError("it waited")


async def test_a_crowd_leaves_the_loop_time_for_others_and_nobody_is_left_out() -> None:
    turns, done, count = Turns(slice_s=0.005), list[int](), [0]
    counter = asyncio.create_task(passes(count))
    async with asyncio.TaskGroup() as crowd:
        for number in range(200):
            crowd.create_task(busy(turns, 0.001, done, number))
    counter.cancel()
    assert sorted(done) == list(range(200))
    # 200 ms of work in slices of 5 ms: without turns it would be one pass.
    assert count[0] > 20


async def test_those_who_come_first_are_served_first() -> None:
    turns, done = Turns(slice_s=0.0005), list[int]()
    async with asyncio.TaskGroup() as crowd:
        for number in range(50):
            crowd.create_task(busy(turns, 0.001, done, number))
    assert done == list(range(50))


async def test_a_task_that_is_cancelled_while_it_waits_holds_nobody_up() -> None:
    turns, done = Turns(slice_s=0.0), list[int]()
    tasks = [asyncio.create_task(busy(turns, 0.0, done, number)) for number in range(100)]
    await asyncio.sleep(0)
    for task in tasks[10:90]:
        task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert {*range(90, 100)} <= set(done)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await busy(turns, 0.0, done, 100)
    assert done[-1] == 100


async def test_work_longer_than_a_slice_still_goes_on_turn_by_turn() -> None:
    turns, done = Turns(slice_s=0.0), list[int]()
    async with asyncio.timeout(5), asyncio.TaskGroup() as crowd:
        for number in range(300):
            crowd.create_task(busy(turns, 0.0001, done, number))
    assert len(done) == 300
