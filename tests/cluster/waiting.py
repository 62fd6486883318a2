"""Waiting for what comes in a moment."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], what: str, *, within: float = 30.0
) -> float:
    """Wait until a condition holds; returns how long that took in seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return loop.time() - started
        assert loop.time() - started < within, f"not within {within} s: {what}"
        await asyncio.sleep(0.2)
