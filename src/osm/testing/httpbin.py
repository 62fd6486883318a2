"""What OSM's demos call: a small httpbin, and on a second port the TCP echo of fortio's server.

`python -m osm.testing.httpbin PORT [--echo PORT]` answers `/get` (what it got), `/status/CODE` (that
status) and `/delay/SECONDS`, with the name of its pod in the header `pod`.
"""

import argparse
import json
import os
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = os.environ.get("HOSTNAME", "")
LONGEST_DELAY_S = 10.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "httpbin"
    # Head and body are two writes: the second would wait 40 ms for the other side's delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        # The body must be gone, or it would be taken for the next request.
        self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.path.partition("?")[0].split("/"):
            case ["", "get"]:
                status = 200
            case ["", "status", code] if code.isdecimal() and 200 <= int(code) < 600:
                status = int(code)
            case ["", "delay", seconds] if seconds.replace(".", "", 1).isdecimal():
                time.sleep(min(float(seconds), LONGEST_DELAY_S))
                status = 200
            case _:
                status = 404
        seen = {"url": self.path, "headers": dict(self.headers.items())}
        body = json.dumps(seen).encode() if status not in (204, 304) else b""
        self.send_response(status)
        self.send_header("pod", NAME)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET  # noqa: N815 the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 100
    daemon_threads = True


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


def server(address: str, port: int) -> ThreadingHTTPServer:
    """An httpbin that has yet to serve; with port 0 it has one of its own choice."""
    return _Server((address, port), _Handler)


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--echo", type=int)
    arguments = parser.parse_args()
    address = os.environ.get("BIND_ADDRESS", "0.0.0.0")  # noqa: S104 a pod's own namespace
    if arguments.echo:
        echo = socketserver.ThreadingTCPServer((address, arguments.echo), _Echo)
        threading.Thread(target=echo.serve_forever, daemon=True).start()
    server(address, arguments.port).serve_forever()


if __name__ == "__main__":
    main()
