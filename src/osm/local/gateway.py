"""The way out of pods that have networks of their own: a unix socket that their proxies alone see.

A proxy says first where to (`osm.core.envoy.way_out`): `CONNECT <host>:<port>`, or a PROXY header with
the address that an application has dialled. The gateway connects from this machine's own network, and
carries bytes. Who may leave was decided by then; what nobody may reach is refused here
(`osm.core.model.way_out`), whatever a name server says: this machine's loopback above all, but for the
ports that an Egress has opened by the name `host.osm.internal`.
"""

import asyncio
import resource
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from osm.core.model.way_out import HOST_ADDRESS, HOST_NAME, is_unreachable
from osm.errors import PlatformError
from osm.local.relay import Connection, relay

log = structlog.get_logger()

OPENING_LIMIT_S = 5.0
CONNECT_LIMIT_S = 5.0
_BUFFER = 64 * 1024
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY_TCP4 = b"\x21\x11"
_RESOLVERS = ThreadPoolExecutor(8, "resolver")
"""Of their own: a name server that does not answer keeps nothing else waiting."""
_OPENED = b"HTTP/1.1 200 OK\r\n\r\n"

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""The IPv4 addresses of a name; none when it has none."""


class Refused(PlatformError):
    """Where a proxy asks to go nobody goes, or nobody answers there."""


async def look_up(name: str) -> Sequence[str]:
    """Ask this machine's own resolver."""
    ask = partial(socket.getaddrinfo, name, None, socket.AF_INET, socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, ask)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def most_connections() -> int:
    """How many may be open: each takes two descriptors, and most are for the mesh itself."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8


class Gateway:
    """Listens at `path` inside of `async with`. `host_ports` are open on this machine's loopback."""

    def __init__(
        self, path: Path, host_ports: Callable[[], Collection[int]], look_up: LookUp = look_up
    ) -> None:
        self._path = path
        self._host_ports = host_ports
        self._look_up = look_up
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(
            self._serve, self._path, limit=_BUFFER, backlog=512
        )
        self._path.chmod(0o600)
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
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this callback as a task
        self._connections.add(task)
        try:
            if len(self._connections) <= most_connections():
                await self._lead_out(reader, writer)
        except Refused as error:
            log.warning("way_out_refused", why=str(error))
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # the proxy, or who it called, has gone: the other sees its connection close
        except asyncio.CancelledError:
            pass  # only `__aexit__` cancels, and it is done with us
        finally:
            self._connections.discard(task)
            writer.close()

    async def _lead_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(OPENING_LIMIT_S):
            host, port, answer = await _read_opening(reader)
        if not 0 < port < 65536:
            raise ValueError(f"there is no port {port}")
        outside = await self.connect(host, port)
        try:
            writer.write(answer)
            await relay((reader, writer), outside)
        finally:
            outside[1].close()

    async def connect(self, host: str, port: int) -> Connection:
        """Connect to a host or address beyond. Raises `Refused`, `OSError` or `TimeoutError`."""
        problem: Exception = Refused(f"{host} has no address that can be called")
        for address in await self.addresses(host, port):
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    return await _open(address, port)
            except (OSError, TimeoutError) as error:
                problem = error
        raise problem

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Where to connect for a host or address. Raises `Refused` for what nobody may reach."""
        if host in (HOST_NAME, HOST_ADDRESS):
            if port in self._host_ports():
                return ("127.0.0.1",)
            raise Refused(f"no Egress names {HOST_NAME} with port {port}")
        found = [host] if _is_address(host) else await self._look_up(host)
        allowed = [each for each in found if not is_unreachable(each)]
        if found and not allowed:
            raise Refused(f"{host} is {found[0]}, which nobody in a mesh may call")
        return allowed


async def _open(address: str, port: int) -> Connection:
    return await asyncio.open_connection(address, port, limit=_BUFFER)


async def _read_opening(reader: asyncio.StreamReader) -> tuple[str, int, bytes]:
    """Where to, and what the proxy waits for before it sends."""
    start = await reader.readexactly(len(_SIGNATURE))
    if start == _SIGNATURE:
        kind, length = struct.unpack(">2sH", await reader.readexactly(4))
        addresses = await reader.readexactly(length)
        if kind != _PROXY_TCP4:
            raise ValueError("a header without addresses")
        _, target, _, port = struct.unpack_from(">4s4sHH", addresses)
        return str(IPv4Address(target)), port, b""
    line = (start + await reader.readuntil(b"\r\n\r\n")).decode("ascii").split(" ", 2)
    host, _, number = line[1].rpartition(":")
    if line[0] != "CONNECT" or not host:
        raise ValueError("neither CONNECT nor a PROXY header")
    return host, int(number), _OPENED


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
