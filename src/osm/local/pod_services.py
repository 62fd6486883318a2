"""What this machine does for a pod that has a network of its own: names, and calls around the proxy."""

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from osm.core.api.kubernetes import Pod
from osm.errors import PlatformError
from osm.local import names
from osm.local.ground import Ground
from osm.local.relay import relay
from osm.local.sandbox import Sandbox

_ORIGINAL_DESTINATION = 80
"""SO_ORIGINAL_DST (linux/netfilter_ipv4.h)."""


async def serve(sandbox: Sandbox, ground: Ground, pod: Callable[[], Pod]) -> None:
    """Serve a pod until cancelled. `pod` gives its present form."""
    line, around = sandbox.take_sockets()
    async with asyncio.TaskGroup() as group:
        if line is not None:
            group.create_task(_serve_names(line, ground, pod))
        if around is not None:
            group.create_task(_serve_around(around, ground, pod))


async def _serve_names(line: socket.socket, ground: Ground, pod: Callable[[], Pod]) -> None:
    with line:
        await names.serve_names(line, lambda name: ground.beyond.look_up(pod(), name))


async def _serve_around(line: socket.socket, ground: Ground, pod: Callable[[], Pod]) -> None:
    """Connections that go around the proxy arrive at a socket of their own, and know where to."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this callback as a task
        open_now.add(task)
        try:
            outside = await ground.beyond.around(pod(), *_destination(writer))
            try:
                await relay((reader, writer), outside)
            finally:
                outside[1].close()
        except (OSError, TimeoutError, PlatformError):
            pass  # nobody is there: the application sees its connection close
        except asyncio.CancelledError:
            pass  # only the end of the pod cancels
        finally:
            open_now.discard(task)
            writer.close()

    open_now: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(connected, sock=line)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        for task in tuple(open_now):
            task.cancel()


def _destination(writer: asyncio.StreamWriter) -> tuple[str, int]:
    connection = writer.get_extra_info("socket")
    found = connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
    _, port, address = struct.unpack_from(">HH4s", found)
    return str(IPv4Address(address)), port
