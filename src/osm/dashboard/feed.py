"""The view as a stream: encoded once a second for all, and for a bounded number of listeners."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from osm.core.explain.view import MeshView

PERIOD_S = 1.0
MAX_STREAMS = 64
SHARE = 20
"""Views take at most one twentieth of the time."""


class Feed:
    """Shares one encoded view among all streams, and knows when the server ends.

    A slow reader skips views: it gets the newest one when it can take one, so nothing queues.
    """

    def __init__(
        self,
        view: Callable[[], MeshView],
        *,
        period_s: float = PERIOD_S,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self.closing = asyncio.Event()
        self.streams = 0
        self._view = view
        self._period_s = period_s
        self._max_streams = max_streams
        self._encoded = b""
        self._encoded_at = float("-inf")
        self._took_s = 0.0

    def newest(self) -> bytes:
        """The view as JSON, at most half a period old."""
        now = time.monotonic()
        if now - self._encoded_at >= self._wait_s / 2:
            self._encoded = msgspec.json.encode(self._view())
            self._encoded_at = now
            self._took_s = time.monotonic() - now
        return self._encoded

    @property
    def _wait_s(self) -> float:
        """How long until the next view: of a great mesh they come less often, to leave it in peace."""
        return max(self._period_s, SHARE * self._took_s)

    @property
    def is_full(self) -> bool:
        """Whether another stream would be one too many."""
        return self.streams >= self._max_streams or self.closing.is_set()

    @contextlib.contextmanager
    def listener(self) -> Iterator[None]:
        """Count a stream for as long as it lasts."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent `view` events: one at once, then one each period, until the server ends."""
        yield b"retry: 1000\n\n"
        while not self.closing.is_set():
            # JSON of msgspec has no line breaks, so one `data:` line carries it.
            yield b"event: view\ndata: " + self.newest() + b"\n\n"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    await self.closing.wait()
