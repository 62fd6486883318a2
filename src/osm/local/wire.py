"""Messages between the supervisor and a pod's agent: JSON and descriptors, by SOCK_SEQPACKET.

A request is `{"id": n, "do": verb, …}`; its answer `{"id": n, …}` or `{"id": n, "error": text}`;
whatever has no `id` is an event. Descriptors travel beside the message that speaks of them.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

Message = dict[str, Any]

LARGEST = 192 * 1024
"""Bytes. A message must fit into the socket's buffer; 208 KiB is Linux's default."""

_MOST_DESCRIPTORS = 4


class TooLarge(ValueError):
    """A message does not fit: a program's arguments and environment are too long."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Render a message; raises `TooLarge`."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > LARGEST:
        raise TooLarge(f"arguments and environment take {len(data)} bytes; {LARGEST} are possible")
    return data


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one encoded message. The caller still owns the descriptors."""
    if descriptors:
        socket.send_fds(connection, [data], list(descriptors))
    else:
        connection.send(data)


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """Take the next message and the descriptors that came with it; None at the end.

    Raises `BlockingIOError` when nothing has come yet and the socket does not block.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(connection, LARGEST + 1, _MOST_DESCRIPTORS)
    except ConnectionResetError:
        return None
    if not data:
        return None
    return json.loads(data), descriptors


def pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
