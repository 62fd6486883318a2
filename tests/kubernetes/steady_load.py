"""Sends requests at a steady rate, and counts: `python -m steady_load URL RATE`, in the image `apps`.

Each request has a connection of its own, and starts when its time has come, however slow those before
it are. Every second, and at SIGTERM, a line of JSON says what came of all that have ended so far.
"""

import asyncio
import collections
import json
import signal
import sys
import time
from urllib.parse import urlsplit

LIMIT_S = 10.0


class Load:
    def __init__(self, url: str, rate: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self._request = (
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "User-Agent: steady-load\r\nConnection: close\r\n\r\n"
        ).encode()
        self._rate = rate
        self._sent = self._ok = 0
        self._failed: collections.Counter[str] = collections.Counter()
        self._slowest_s = 0.0
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        speaking = asyncio.create_task(self._speak())
        started = time.monotonic()
        while not ended.is_set():
            task = asyncio.create_task(self._ask())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self._sent += 1
            await asyncio.sleep(max(0.0, started + self._sent / self._rate - time.monotonic()))
        await asyncio.gather(*self._under_way)
        speaking.cancel()
        self._say()

    async def _ask(self) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT_S):
                outcome = await self._answer()
        except (OSError, EOFError, TimeoutError, ValueError, IndexError) as error:
            outcome = type(error).__name__
        took = time.monotonic() - started
        self._slowest_s = max(self._slowest_s, took)
        if outcome == "200":
            self._ok += 1
            return
        self._failed[outcome] += 1
        at = time.strftime("%H:%M:%S", time.gmtime())
        print(f"{at} {outcome} after {took:.3f} s", file=sys.stderr, flush=True)

    async def _answer(self) -> str:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.read()
        finally:
            writer.transport.abort()
        return head.split(b" ", 2)[1].decode()

    async def _speak(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._say()

    def _say(self) -> None:
        counts = {
            "sent": self._sent - len(self._under_way),
            "ok": self._ok,
            "failed": dict(self._failed),
            "slowest_s": round(self._slowest_s, 3),
        }
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(Load(sys.argv[1], float(sys.argv[2])).run())
