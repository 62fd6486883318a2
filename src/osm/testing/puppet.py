"""A workload for tests: runs the Python code that it is sent, and answers with what it gives.

`python -m osm.testing.puppet [PORT]`: POST a program; its global `result`, as JSON, is the answer.
GET `/…` answers 200 with who it is, what it got and the identity that its proxy named as the caller.
With `--echo PORT` it also echoes TCP there, and with `--banner PORT` it speaks first.
"""

import argparse
import json
import os
import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen = {
            "name": os.environ.get("HOSTNAME", ""),
            "path": self.path,
            "host": self.headers.get("host", ""),
            "caller": self.headers.get("x-forwarded-client-cert", ""),
            "headers": dict(self.headers.items()),
        }
        self._answer(200, seen)

    do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/run":
            self.do_GET()
            return
        scope: dict[str, object] = {"result": None}
        try:
            exec(compile(body, "puppet", "exec"), scope)  # noqa: S102 what a test program is for
            self._answer(200, scope["result"])
        except Exception:
            self._answer(500, traceback.format_exc())

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value, default=repr).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


def _serve_tcp(address: str, port: int, banner: bytes) -> None:
    with socket.create_server((address, port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_echo, args=(connection, banner), daemon=True).start()


def _echo(connection: socket.socket, banner: bytes) -> None:
    with connection:
        try:
            if banner:
                connection.sendall(banner)
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int, nargs="?", default=8000)
    parser.add_argument("--echo", type=int, action="append", default=[])
    parser.add_argument("--banner", type=int, action="append", default=[])
    arguments = parser.parse_args()
    address = os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104 a pod's own namespace
    for port in arguments.echo:
        threading.Thread(target=_serve_tcp, args=(address, port, b""), daemon=True).start()
    for port in arguments.banner:
        threading.Thread(target=_serve_tcp, args=(address, port, b"hello\n"), daemon=True).start()
    ThreadingHTTPServer((address, arguments.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
