"""What programs and proxies print: bytes of a pipe become lines that are safe to show."""

import asyncio
import codecs
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from osm.kit.broadcast import Broadcast
from osm.ports import LogLine

LONGEST_LINE = 16 * 1024
"""Characters; Kubernetes' container runtimes cut there, too."""

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Write control characters out, so that a program cannot steer the terminal or forge lines."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class LineSplitter:
    """Makes lines of pieces. Long lines are cut, what is not UTF-8 is replaced."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, data: bytes, *, final: bool = False) -> list[str]:
        """Take the next piece, and give the lines that are complete now."""
        text = self._rest + self._decode(data, final)
        *lines, self._rest = text.split("\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        if final and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return [escape(_cut(line.removesuffix("\r"))) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


async def pump(descriptor: int, take: Callable[[str], None]) -> None:
    """Hand over each line that comes out of a pipe, until nobody can write to it any more.

    Owns the descriptor.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE * 4)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    splitter = LineSplitter()
    try:
        while data := await reader.read(64 * 1024):
            for line in splitter.feed(data):
                take(line)
    finally:
        for line in splitter.feed(b"", final=True):
            take(line)
        transport.close()


class Logs:
    """Keeps the last lines of each container, and hands new ones to whoever follows."""

    def __init__(self, keep: int = 1000, clock: Callable[[], datetime] | None = None) -> None:
        self._keep = keep
        self._now = clock or (lambda: datetime.now(UTC))
        self._lines: dict[tuple[str, str, str], deque[tuple[int, LogLine]]] = {}
        self._count = 0
        self._live: Broadcast[LogLine] = Broadcast(capacity=keep)

    def add(self, namespace: str, workload: str, container: str, text: str, *, error: bool) -> None:
        """Take one line."""
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = LogLine(time, namespace, workload, container, text, error)
        ring = self._lines.setdefault((namespace, workload, container), deque(maxlen=self._keep))
        self._count += 1
        ring.append((self._count, line))
        self._live.publish(line)

    def last(self, workload: str = "", *, tail: int) -> list[LogLine]:
        """The last lines of a workload (`[ns/]name`, or everybody's), oldest first."""
        numbered = sorted(
            (
                entry
                for ring in self._lines.values()
                for entry in ring
                if _is_of(entry[1], workload)
            ),
            key=lambda entry: entry[0],
        )
        return [line for _, line in numbered[-tail:]] if tail > 0 else []

    async def follow(self, workload: str = "", *, tail: int = 0) -> AsyncIterator[LogLine]:
        """The last lines, then each new one."""
        with self._live.subscribe() as lines:
            for line in self.last(workload, tail=tail):
                yield line
            async for line in lines:
                if _is_of(line, workload):
                    yield line


def _is_of(line: LogLine, workload: str) -> bool:
    return workload in ("", line.workload, f"{line.namespace}/{line.workload}")
