"""A client for the little of the Valkey protocol (RESP2) that the warehouse needs.

Written by hand since the applications use the standard library only. Commands are sent inline.
"""

import select
import socket
import threading
from collections.abc import Callable

TIMEOUT_S = 2.0
LONGEST_REPLY = 1 << 16

Address = tuple[str, int]


class ValkeyError(Exception):
    """The database refused a command, or cannot be reached."""


class Valkey:
    """One connection, opened when needed and again when it was lost."""

    def __init__(self, address: Callable[[], Address], timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def increase(self, key: str, by: int) -> int:
        """Raise a counter and return its new value."""
        return self._integer(f"INCRBY {key} {by}")

    def read(self, key: str) -> int:
        """Return a counter's value; one that does not exist is 0."""
        return self._integer(f"GET {key}")

    def write(self, key: str, value: int) -> None:
        self._call(f"SET {key} {value}")

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _integer(self, command: str) -> int:
        reply = self._call(command) or b"0"
        try:
            return int(reply)
        except ValueError as failure:
            raise ValkeyError(f"the database answered {reply!r} to {command}") from failure

    def _call(self, command: str) -> bytes | None:
        # Never sent twice: INCRBY may have been carried out before the connection was lost.
        with self._lock:
            try:
                connection = self._open()
                connection.sendall(command.encode() + b"\r\n")
                return _read_reply(connection)
            except OSError as failure:
                self._drop()
                reason = failure.strerror or str(failure) or type(failure).__name__
                raise ValkeyError(f"the database cannot be reached: {reason}") from failure
            except ValkeyError:
                self._drop()
                raise

    def _open(self) -> socket.socket:
        held = self._socket
        if held is not None and not select.select((held,), (), (), 0)[0]:
            return held
        self._drop()  # readable without a question: the other side hung up
        self._socket = socket.create_connection(self._address(), self._timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _read_reply(connection: socket.socket) -> bytes | None:
    received = b""
    while not received.endswith(b"\r\n") or (received[:1] == b"$" and not _whole_bulk(received)):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionResetError(0, "it closed the connection")
        received += piece
        if len(received) > LONGEST_REPLY:
            raise ValkeyError("the database's answer is too long")
    kind, line = received[:1], received[1:].partition(b"\r\n")[0]
    match kind:
        case b"+" | b":":
            return line
        case b"$":
            return None if line.startswith(b"-") else received[len(line) + 3 : -2]
        case b"-":
            raise ValkeyError(f"the database refused: {line.decode(errors='replace')}")
    raise ValkeyError(f"this is no database: it answered {received[:40]!r}")


def _whole_bulk(received: bytes) -> bool:
    """Tell whether a bulk string is complete: its length in a line, its bytes, a line end."""
    line, _, rest = received[1:].partition(b"\r\n")
    return line.startswith(b"-") or (line.isdigit() and len(rest) >= int(line) + 2)
