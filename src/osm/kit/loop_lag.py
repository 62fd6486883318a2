"""How late the event loop is: what blocks it shows here, whoever it was."""

import asyncio
from collections.abc import Callable

PERIOD_S = 0.05


async def watch_loop_lag(observe: Callable[[float], None], *, period_s: float = PERIOD_S) -> None:
    """Sleep again and again, and tell by how many seconds each awakening was late. Never returns.

    A block shows as its length less what was left of the sleep, so at least its length - `period_s`.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period_s
        await asyncio.sleep(period_s)
        observe(max(0.0, loop.time() - due))
