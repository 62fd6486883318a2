"""Port forwards: a port of this machine's loopback that leads into a pod."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from osm.errors import PlatformError
from osm.local.relay import relay

_PORTS_TO_TRY = 100

Dial = Callable[[], Awaitable[socket.socket]]
"""Makes a new connection to the forwarded port of the pod."""


class PortForward:
    """Listens on 127.0.0.1 and relays each connection, inside of `async with`.

    A port that is taken is passed over for the next free one; `local_port` says which it became.
    """

    def __init__(self, dial: Dial, local_port: int, *, tell_caller: bool = False) -> None:
        """`tell_caller`: say first who calls, by the PROXY protocol."""
        self._dial = dial
        self._tell_caller = tell_caller
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.local_port = local_port

    async def __aenter__(self) -> Self:
        listener = _listen(self.local_port)
        self.local_port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this callback as a task
        self._connections.add(task)
        try:
            await self._relay(reader, writer)
        except (OSError, PlatformError):
            pass  # the pod refuses, or is gone: the client sees the connection close
        except asyncio.CancelledError:
            pass  # only `__aexit__` cancels, and it is done with us
        finally:
            self._connections.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pod_reader, pod_writer = await asyncio.open_connection(sock=await self._dial())
        try:
            if self._tell_caller:
                pod_writer.write(_proxy_header(writer))
            await relay((reader, writer), (pod_reader, pod_writer))
        finally:
            pod_writer.close()


def _proxy_header(writer: asyncio.StreamWriter) -> bytes:
    """Who has called whom (PROXY protocol, version 1)."""
    source, source_port = writer.get_extra_info("peername")
    target, target_port = writer.get_extra_info("sockname")
    return f"PROXY TCP4 {source} {target} {source_port} {target_port}\r\n".encode()


def _listen(first: int) -> socket.socket:
    for port in range(first, min(first + _PORTS_TO_TRY, 65536)):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise PlatformError(
                    f"cannot listen on 127.0.0.1:{port}: {error.strerror}"
                ) from error
    raise PlatformError(f"no port from {first} to {first + _PORTS_TO_TRY - 1} is free")
