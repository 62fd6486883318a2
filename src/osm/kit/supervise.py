"""Keeps a task running: what fails is logged and started again, later and later."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from osm.kit.backoff import Backoff

log = structlog.get_logger()


async def supervise(
    name: str,
    run: Callable[[], Awaitable[None]],
    *,
    rng: Random,
    backoff: Backoff = Backoff(),  # noqa: B008 - a frozen value
    healthy_s: float = 60.0,
) -> None:
    """Run until it returns or is cancelled; after an exception, run it again with back-off.

    A run that lasted `healthy_s` starts the back-off afresh. The caller's TaskGroup owns the task:
    `group.create_task(supervise("scraper", scraper.run, rng=rng))`.
    """
    loop = asyncio.get_running_loop()
    attempt = 0
    while True:
        started = loop.time()
        try:
            await run()
        except Exception as error:
            attempt = 0 if loop.time() - started >= healthy_s else attempt
            delay = backoff.delay_s(attempt, rng)
            attempt += 1
            log.error(  # noqa: TRY400 - the exception is passed on
                "task_failed", task=name, attempt=attempt, retry_s=round(delay, 3), exc_info=error
            )
            await asyncio.sleep(delay)
        else:
            return
