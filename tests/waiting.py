"""Waiting for what comes in a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]],
    what: str,
    *,
    within: float = 15.0,
    every: float = 0.05,
) -> float:
    """Wait until a condition holds, and ask for it now and then; returns how long that took. In seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        holds = condition()
        if isinstance(holds, Awaitable):
            holds = await holds
        if holds:
            return loop.time() - started
        assert loop.time() - started < within, f"not within {within} s: {what}"
        await asyncio.sleep(every)


async def listens(path: Path) -> bool:
    """Whether a server accepts connections at a unix socket: the file is there a moment before."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
