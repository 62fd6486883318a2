"""A workload for tests: runs the Python code that it is sent, and answers with what it gives.

`python -m osm.testing.puppet [PORT]`: POST a program to `/run`; its global `result`, as JSON, is the
answer. It finds there `state`, a dictionary that lives as long as the workload, and what
`osm.testing.calls` has for calling others. Every other request is answered with who answers, what it
got and the identity that its proxy named as the caller; one with `Upgrade` becomes an echo.

With `--echo PORT` it also echoes TCP (and answers `who` with its name), with `--banner PORT` it
speaks first, with `--pour PORT` it never stops speaking, with `--grpc PORT` it serves `osm.demo.Echo`.
"""

import argparse
import json
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from osm.testing import calls

NAME = os.environ.get("HOSTNAME", "")
_STATE: dict[str, object] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second would wait 40 ms for the other side's delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        # The body must be gone, or it would be taken for the next request.
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("upgrade"):
            self._upgrade()
            return
        seen = {
            "name": NAME,
            "path": self.path,
            "host": self.headers.get("host", ""),
            "caller": self.headers.get("x-forwarded-client-cert", ""),
            "headers": dict(self.headers.items()),
        }
        self._answer(200, seen)

    do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_GET  # noqa: N815

    def do_POST(self) -> None:
        # Only the test may send programs; it comes past the proxy, which names every other caller.
        if self.path != "/run" or self.headers.get("x-forwarded-client-cert"):
            self.do_GET()
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        scope: dict[str, object] = {**vars(calls), "state": _STATE, "result": None}
        try:
            exec(compile(body, "puppet", "exec"), scope)  # noqa: S102 what a test program is for
            self._answer(200, scope["result"])
        except Exception:  # noqa: BLE001 whatever it raises is its answer
            self._answer(500, traceback.format_exc())

    def _upgrade(self) -> None:
        self.send_response(101)
        self.send_header("upgrade", self.headers["upgrade"])
        self.send_header("connection", "upgrade")
        self.end_headers()
        self.close_connection = True
        _echo(self.connection)

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


def _serve_tcp(address: str, port: int, talk: Callable[[socket.socket], None]) -> None:
    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    with socket.create_server((address, port), backlog=100) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=one, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(NAME.encode() if data == b"who" else data)


def _greet(connection: socket.socket) -> None:
    connection.sendall(b"hello from " + NAME.encode() + b"\n")
    _echo(connection)


def _pour(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"drop\n")
        time.sleep(0.01)


def _serve_grpc(address: str, port: int) -> None:
    # grpc takes 0.2 s to import, which most workloads can do without.
    from osm.demo.grpc_echo_server import echo_server  # noqa: PLC0415
    from osm.demo.journal import Journal  # noqa: PLC0415

    server = echo_server(NAME, Journal())
    server.add_insecure_port(f"{address}:{port}")
    server.start()
    server.wait_for_termination()


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int, nargs="?", default=8000)
    for kind in ("echo", "banner", "pour", "grpc"):
        parser.add_argument(f"--{kind}", type=int, action="append", default=[])
    arguments = parser.parse_args()
    address = os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104 a pod's own namespace
    talks = ((arguments.echo, _echo), (arguments.banner, _greet), (arguments.pour, _pour))
    for ports, talk in talks:
        for port in ports:
            threading.Thread(target=_serve_tcp, args=(address, port, talk), daemon=True).start()
    for port in arguments.grpc:
        threading.Thread(target=_serve_grpc, args=(address, port), daemon=True).start()
    ThreadingHTTPServer.request_queue_size = 100
    ThreadingHTTPServer((address, arguments.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
