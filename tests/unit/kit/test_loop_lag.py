import asyncio
import time

from osm.kit.loop_lag import watch_loop_lag


async def more(lags: list[float], count: int) -> None:
    enough = len(lags) + count
    async with asyncio.timeout(10):
        while len(lags) < enough:  # noqa: ASYNC110 - the list has no event
            await asyncio.sleep(0.01)


async def test_a_blocked_loop_shows_as_lag_and_a_free_one_does_not() -> None:
    lags: list[float] = []
    watching = asyncio.create_task(watch_loop_lag(lags.append, period_s=0.01))
    await more(lags, 5)
    assert min(lags) < 0.1
    seen = len(lags)
    time.sleep(0.3)  # noqa: ASYNC251 - the block that is to be seen
    await more(lags, 1)
    watching.cancel()
    assert max(lags[seen:]) >= 0.28
