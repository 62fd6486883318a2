"""Answers that go on: counted while they last, ended when the server ends."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from osm.dashboard.feed import Feed
from osm.ports import LogLine

_FIRST_LINE_WAIT_S = 0.25


class CountedStream(StreamingResponse):
    """A stream that takes one of the feed's places from its first to its last byte."""

    def __init__(self, content: AsyncIterator[bytes], *, feed: Feed, media_type: str) -> None:
        super().__init__(content, media_type=media_type, headers={"x-accel-buffering": "no"})
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feed.listener():
            await super().__call__(scope, receive, send)


async def log_lines(lines: AsyncIterator[LogLine], feed: Feed) -> AsyncIterator[bytes]:
    """Lines as NDJSON. Errors of the first line are raised here, before any answer has begun."""
    first = asyncio.ensure_future(_following(lines))
    await asyncio.wait({first}, timeout=_FIRST_LINE_WAIT_S)
    if first.done():
        first.result()
    return _encoded(first, lines, feed)


async def _encoded(
    first: asyncio.Task[LogLine | None], lines: AsyncIterator[LogLine], feed: Feed
) -> AsyncIterator[bytes]:
    closing = asyncio.ensure_future(feed.closing.wait())
    coming = first
    try:
        while not feed.closing.is_set():
            await asyncio.wait({coming, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            line = coming.result()
            if line is None:
                return
            yield msgspec.json.encode(line) + b"\n"
            coming = asyncio.ensure_future(_following(lines))
    finally:
        closing.cancel()
        coming.cancel()
        # The generator may only be closed when nobody waits for its next line any more.
        await asyncio.gather(coming, return_exceptions=True)
        close = getattr(lines, "aclose", None)
        if close is not None:
            await close()


async def _following(lines: AsyncIterator[LogLine]) -> LogLine | None:
    return await anext(lines, None)
