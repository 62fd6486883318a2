"""Bursts become one value. Time is virtual: nothing here waits."""

import asyncio
from collections.abc import Sequence

import pytest

from osm.kit.debounce import Debounce
from osm.testing.clock import run_in_virtual_time

Taken = list[tuple[int, tuple[int, ...]]]


async def play(puts_ms: Sequence[int], until_ms: int = 3000) -> Taken:
    """Put a number at each time; return what was taken, and when, in ms."""
    loop = asyncio.get_running_loop()
    debounce: Debounce[tuple[int, ...]] = Debounce(lambda old, new: old + new)
    taken: Taken = []

    async def read() -> None:
        while True:
            values = await debounce.take()
            taken.append((round(loop.time() * 1000), values))

    reader = asyncio.create_task(read())
    for at in puts_ms:
        await asyncio.sleep(at / 1000 - loop.time())
        debounce.put((at,))
    await asyncio.sleep(until_ms / 1000 - loop.time())
    reader.cancel()
    return taken


@pytest.mark.parametrize(
    ("puts_ms", "taken"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([100], [(120, (100,))], id="one waits for quiet"),
        pytest.param([100, 110, 125], [(145, (100, 110, 125))], id="a burst is one"),
        pytest.param([100, 200], [(120, (100,)), (220, (200,))], id="two far apart are two"),
        pytest.param([0, 0, 0], [(20, (0, 0, 0))], id="at the same moment"),
    ],
)
def test_what_comes_in_a_burst_is_taken_together_when_it_is_quiet(
    puts_ms: list[int], taken: Taken
) -> None:
    assert run_in_virtual_time(play(puts_ms)) == taken


def test_a_storm_is_taken_every_half_second_and_loses_nothing() -> None:
    puts = list(range(0, 1700, 7))
    taken = run_in_virtual_time(play(puts))
    assert [at for at, _ in taken][:3] == [500, 1004, 1508]
    assert [value for _, values in taken for value in values] == puts


def test_a_take_that_is_cancelled_loses_nothing() -> None:
    async def main() -> int:
        debounce: Debounce[int] = Debounce(lambda old, new: old + new)
        debounce.put(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await debounce.take()
        debounce.put(2)
        return await debounce.take()

    assert run_in_virtual_time(main()) == 3
