import asyncio
from datetime import UTC, datetime, timedelta

from osm.kit.clock import SystemClock
from osm.testing.clock import FakeClock


async def test_the_system_clock_knows_the_time_in_utc() -> None:
    before = datetime.now(UTC)
    await SystemClock().sleep(-1)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC) and now.utcoffset() == timedelta(0)


async def test_sleepers_of_a_fake_clock_wake_in_order_each_at_its_time() -> None:
    clock = FakeClock()
    start = clock.now()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *seconds: float) -> None:
        for wait in seconds:
            await clock.sleep(wait)
            woken.append((name, (clock.now() - start).total_seconds()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 3, 3))
        group.create_task(sleeper("b", 2, 2))
        await clock.advance(4.5)
        early = list(woken)
        await clock.advance(10)
    assert early == [("b", 2), ("a", 3), ("b", 4)]
    assert woken == [*early, ("a", 6)]
    assert (clock.now() - start).total_seconds() == 14.5


async def test_a_jump_of_the_time_of_day_wakes_nobody() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await clock.settle()
    clock.jump(timedelta(hours=8))
    await clock.settle()
    still_asleep = not sleeper.done()
    await clock.advance(10)
    assert still_asleep and sleeper.done()
