"""A port of a pod on this machine, through the API server, as `kubectl port-forward` has it.

Kubernetes' own protocol over WebSockets, subprotocol `v4.channel.k8s.io`: binary messages whose first
byte is a channel. Of the one port that is asked for, 0 carries its bytes both ways and 1 says what went
wrong; the first message of each only repeats the port. There is no half-closed connection: whoever
ends, ends both.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
from httpx2.websockets import (
    AsyncWebSocketSession,
    HTTPXWSException,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
)

from osm.kubernetes.api_server import ApiServer, Status, Unreachable

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
PIECE = 32 * 1024
SOCKET = "port.sock"
LOOPBACK = "127.0.0.1"


class PodPort(msgspec.Struct, frozen=True):
    """A port on the loopback of a pod."""

    namespace: str
    pod: str
    port: int

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/portforward"


class Forward:
    """A listener on this machine: `socket` is the path of a unix socket, or `port` one of loopback."""

    def __init__(self, server: ApiServer, target: PodPort) -> None:
        self.socket = Path()
        self.port = 0
        self.problem: Status | Unreachable | None = None
        """Why the connection failed that ended last; None when it did not."""
        self._server = server
        self._target = target
        self._open: set[asyncio.Task[object]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this callback as a task
        self._open.add(task)
        try:
            self.problem = await self._carry(reader, writer)
        except asyncio.CancelledError:
            return  # by `end`: asyncio would complain of it
        finally:
            self._open.discard(task)
            writer.close()

    async def end(self) -> None:
        """End all connections."""
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Status | Unreachable | None:
        target = self._target
        try:
            async with self._server.websocket(
                target.path, PROTOCOL, ports=str(target.port)
            ) as session:
                said = await _exchange(session, reader, writer)
        except (Status, Unreachable) as problem:
            return problem
        except (HTTPXWSException, ExceptionGroup, OSError) as error:
            return Unreachable(error)
        return Status(502, "PortForward", said) if said else None


@asynccontextmanager
async def forwarded(
    server: ApiServer, target: PodPort, *, port: int | None = None
) -> AsyncIterator[Forward]:
    """Listen on a unix socket that only this user can reach, or on a port of loopback (0: any free
    one). Whether the pod's port can be reached is seen with the first connection: see `problem`.
    """
    forward = Forward(server, target)
    with ExitStack() as stack:
        if port is None:
            folder = tempfile.TemporaryDirectory(prefix="osm-")  # mode 0700
            forward.socket = Path(stack.enter_context(folder)) / SOCKET
            listener = await asyncio.start_unix_server(forward.take, forward.socket)
        else:
            listener = await asyncio.start_server(forward.take, LOOPBACK, port)
            forward.port = listener.sockets[0].getsockname()[1]
        try:
            yield forward
        finally:
            listener.close()
            await forward.end()


async def _exchange(
    session: AsyncWebSocketSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    """Carry bytes until one side ends; returns what the pod's side says went wrong."""
    sending = asyncio.ensure_future(_send(session, reader))
    receiving = asyncio.ensure_future(_receive(session, writer))
    try:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.wait((sending, receiving))
    for task in (sending, receiving):
        if not task.cancelled() and (error := task.exception()):
            raise error
    return "" if receiving.cancelled() else receiving.result()


async def _send(session: AsyncWebSocketSession, reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE):
            await session.send_bytes(bytes((DATA,)) + piece)


async def _receive(session: AsyncWebSocketSession, writer: asyncio.StreamWriter) -> str:
    begun: set[int] = set()
    try:
        while message := await session.receive_bytes():
            channel, content = message[0], message[1:]
            if channel not in begun:
                begun.add(channel)  # its first message is the number of the port
            elif channel == DATA:
                writer.write(content)
                await writer.drain()
            elif content:
                return content.decode(errors="replace").strip()
    except WebSocketInvalidTypeReceived:
        return "the kubelet does not speak the protocol of port-forward"
    except (WebSocketDisconnect, ConnectionError):
        pass
    return ""
