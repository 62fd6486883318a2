"""GET from an Envoy's admin interface, over its unix socket.

No HTTP library is needed for this: the peer is our own Envoy, and it always sends one response and
closes. A peer that sends too much or too slowly is cut off.
"""

import asyncio
from pathlib import Path

from osm.errors import PlatformError

SIZE_LIMIT = 16 << 20
_CHUNK_LINE_LIMIT = 64


async def get_from_socket(socket: Path, target: str, *, deadline_s: float = 2.0) -> bytes:
    """Return the body of `GET target`. Raises `PlatformError` unless the answer is 200."""
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
            try:
                head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return await _read_response(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise PlatformError(
            f"{socket} does not answer {target}: {str(error) or type(error).__name__}",
            hint="Its proxy may be starting or gone.",
        ) from error


async def _read_response(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if not head.startswith("http/1.1 200 "):
        raise ValueError(f"HTTP status {head[9:12]}")
    if "\r\ntransfer-encoding: chunked\r\n" not in head:
        body = await reader.read(SIZE_LIMIT + 1)
        while len(body) <= SIZE_LIMIT and (more := await reader.read(1 << 20)):
            body += more
        return _limited(body)
    parts: list[bytes] = []
    size = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        if len(line) > _CHUNK_LINE_LIMIT:
            raise ValueError("malformed chunk")
        length = int(line.split(b";")[0], 16)
        if length == 0:
            return b"".join(parts)
        size += length
        if length < 0 or size > SIZE_LIMIT:
            raise ValueError(f"more than {SIZE_LIMIT >> 20} MiB")
        parts.append(await reader.readexactly(length))
        await reader.readexactly(2)


def _limited(body: bytes) -> bytes:
    if len(body) > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT >> 20} MiB")
    return body
