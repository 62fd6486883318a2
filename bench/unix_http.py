"""HTTP over a unix socket."""

import http.client
import socket
from pathlib import Path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get_over_unix(path: Path, target: str) -> bytes:
    """The body of the answer, whatever its status. Raises `OSError`."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", target)
        return connection.getresponse().read()
    finally:
        connection.close()
