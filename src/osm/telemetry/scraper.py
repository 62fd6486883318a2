"""Fetches the proxies' counters every second, and feeds the traffic window."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from osm.errors import PlatformError
from osm.telemetry.admin_socket import get_from_socket
from osm.telemetry.exposition import read_samples
from osm.telemetry.traffic import TrafficWindow

log = structlog.get_logger()

TARGET = "/stats/prometheus?usedonly&filter=^osm"
"""Envoy matches the filter before it renders anything; `usedonly` leaves out what never counted."""


class Scraper:
    """Reads every proxy that `sockets()` lists, at most `parallel` at once. One sweep at a time."""

    def __init__(
        self,
        sockets: Callable[[], Mapping[str, Path]],
        window: TrafficWindow,
        *,
        interval_s: float = 1.0,
        parallel: int = 16,
    ) -> None:
        self._sockets = sockets
        self._window = window
        self._interval_s = interval_s
        self._parallel = parallel
        self.failing: dict[str, str] = {}
        """Proxies whose last answer failed, and why."""

    async def run(self) -> None:
        """Sweep until cancelled. A sweep that takes longer than the interval delays the next."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self.sweep()
            await asyncio.sleep(max(0.05, self._interval_s - (loop.time() - started)))

    async def sweep(self) -> None:
        """Read every proxy once. One that does not answer is skipped, and keeps its last counts."""
        sockets = self._sockets()
        self._window.keep_only(sockets)
        self.failing = {name: why for name, why in self.failing.items() if name in sockets}
        slots = asyncio.Semaphore(self._parallel)
        async with asyncio.TaskGroup() as reads:
            for name, socket in sockets.items():
                reads.create_task(self._read(name, socket, slots))

    async def _read(self, name: str, socket: Path, slots: asyncio.Semaphore) -> None:
        async with slots:
            try:
                body = await get_from_socket(socket, TARGET)
            except PlatformError as error:
                if name not in self.failing:
                    log.debug("scrape_failed", proxy=name, error=error.message)
                self.failing[name] = error.message
                return
            now = asyncio.get_running_loop().time()
        self.failing.pop(name, None)
        self._window.add(name, now, read_samples(body.decode("utf-8", "replace")))
