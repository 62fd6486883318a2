"""The name server of one pod: names beyond the mesh, for those who may leave by them (RFC 1035).

Services are in the pod's hosts file and never get here. A name that its workload may not leave by does
not exist, so that questions are no way out either. Addresses are those that this machine's resolver
knows; the mesh carries IPv4, and nothing but addresses is told.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address

MOST_QUESTIONS = 64
"""That are being answered at one time; resolvers ask again."""
_LIFETIME_S = 5
_MOST_ADDRESSES = 16
"""That surely fit into 512 bytes, beside the longest question."""
_NAME = re.compile(r"[a-z0-9_]([-a-z0-9_.]{0,251}[a-z0-9_])?")
_ADDRESS, _INTERNET = 1, 1
_NO_ERROR, _NO_SUCH_NAME, _NOT_IMPLEMENTED = 0, 3, 4

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""The IPv4 addresses of a name in lower case; none when the pod shall know of none."""


async def serve_names(line: socket.socket, look_up: LookUp) -> None:
    """Answer what arrives at a UDP socket until cancelled. The socket stays the caller's."""
    loop = asyncio.get_running_loop()
    asking: set[asyncio.Task[None]] = set()
    try:
        while True:
            query, caller = await loop.sock_recvfrom(line, 512)
            if len(asking) < MOST_QUESTIONS:
                task = loop.create_task(_reply(line, query, caller, look_up))
                asking.add(task)
                task.add_done_callback(asking.discard)
    finally:
        for task in asking:
            task.cancel()


async def _reply(
    line: socket.socket, query: bytes, caller: tuple[str, int], look_up: LookUp
) -> None:
    reply = await answer(query, look_up)
    if reply:
        try:
            line.sendto(reply, caller)
        except OSError:
            return  # who asked is gone, or the pod is


async def answer(query: bytes, look_up: LookUp) -> bytes:
    """The answer to a query; empty for what is none."""
    question = _question(query)
    if question is None:
        return b""
    name, end, kind, family = question
    addresses: Sequence[str] = ()
    if family != _INTERNET or query[2] & 0x78:
        code = _NOT_IMPLEMENTED
    else:
        addresses = await look_up(name) if _NAME.fullmatch(name) else ()
        code = _NO_ERROR if addresses else _NO_SUCH_NAME
    records = [_record(each) for each in addresses[:_MOST_ADDRESSES] if kind == _ADDRESS]
    # A response, as recursive as it was asked for, and recursion is available.
    flags = 0x8080 | (query[2] & 0x79) << 8 | code
    head = struct.pack(">HHHHHH", int.from_bytes(query[:2]), flags, 1, len(records), 0, 0)
    return head + query[12:end] + b"".join(records)


def _question(query: bytes) -> tuple[str, int, int, int] | None:
    """Name, where the question ends, type and class; None for what is no query of one question."""
    if len(query) < 17 or query[2] & 0x80 or query[4:6] != b"\0\1":
        return None
    labels: list[str] = []
    position = 12
    while position < len(query) and (length := query[position]):
        label = query[position + 1 : position + 1 + length]
        if length > 63 or len(label) < length:
            return None
        labels.append(label.decode("latin-1"))
        position += 1 + length
    end = position + 5
    if end > len(query):
        return None
    kind, family = struct.unpack_from(">HH", query, position + 1)
    return ".".join(labels).lower(), end, kind, family


def _record(address: str) -> bytes:
    """An address for the name at byte 12, where the question's is."""
    head = struct.pack(">HHHIH", 0xC00C, _ADDRESS, _INTERNET, _LIFETIME_S, 4)
    return head + IPv4Address(address).packed
