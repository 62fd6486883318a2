"""What the tests of writers share: their running, what they send, and objects as they are."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import FaultProxy


def writes(proxy: FaultProxy) -> int:
    """How many requests changed something, or tried to."""
    return sum(asked.method != "GET" for asked in proxy.asked)


def collect_handshakes() -> None:
    """Now, and not while a later test runs that has nothing to do with it."""
    gc.collect()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something that never ends, until the block does."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        collect_handshakes()


async def found(cluster: ControlPlane, *what: str) -> dict[str, Any] | None:
    """An object as the API server has it; None when there is none."""
    text = await cluster.kubectl("get", *what, "--ignore-not-found", "-o", "json")
    document: dict[str, Any] | None = json.loads(text) if text else None
    return document
