"""The real clock. Tests use `osm.testing.clock.FakeClock`."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """Implements `osm.ports.Clock` by the machine's time of day and the event loop's timers.

    `sleep` is monotonic: it does not notice that somebody set the time of day. Whoever waits for a
    time of day sleeps in short steps and compares `now()` again.
    """

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
