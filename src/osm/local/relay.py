"""Bytes between two connections, until both sides have ended."""

import asyncio
from contextlib import suppress

_PIECE = 64 * 1024

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def relay(one: Connection, other: Connection) -> None:
    """Carry bytes both ways. One side may end before the other; when one is reset, both are. Whoever
    sends faster than the other side takes must wait. The caller closes both.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(one[0], other[1]))
            group.create_task(_copy(other[0], one[1]))
    except* OSError:
        for _, writer in (one, other):
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
