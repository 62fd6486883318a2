"""A small HTTP/1.1 server for the applications: a table of routes, a thread for each connection.

On top of `http.server`: connections stay open between requests (a proxy keeps them), answers leave
in one piece, and an end that lets running requests finish.
"""

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from osm.demo.journal import Journal

LARGEST_BODY = 1 << 20


class Request(NamedTuple):
    """What was asked. Names of headers are in lower case; `path` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Response]
Routes = Mapping[tuple[str, str], Handler]
"""Handlers by method and path. A HEAD request is answered by the GET handler."""


def text_response(text: str, status: int = 200) -> Response:
    """Return a line of text as an answer."""
    return Response(status, text.encode() + b"\n")


def json_response(
    value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Return a value as a JSON answer that nobody keeps."""
    body = json.dumps(value).encode() + b"\n"
    return Response(status, body, "application/json", (*headers, ("Cache-Control", "no-store")))


class Server(ThreadingHTTPServer):
    """Serves routes on one address. `start` returns when connections are accepted."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, bind: str, port: int, routes: Routes, journal: Journal) -> None:
        self.address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        self.routes = routes
        self.journal = journal
        self.stopping = False
        self._running = 0
        self._idle = threading.Condition()
        super().__init__((bind, port), _Connection)

    def server_bind(self) -> None:
        # HTTPServer's own asks DNS for the name of the address, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a peer that hangs up is not an event."""

    def start(self, poll_s: float = 0.1) -> None:
        """Serve from now on. A stop is noticed within `poll_s`."""
        threading.Thread(
            target=self.serve_forever, args=(poll_s,), name="accept", daemon=True
        ).start()

    def stop(self, within_s: float = 1.0) -> None:
        """Accept nothing more, and let running requests finish within the time."""
        self.stopping = True
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + within_s
        with self._idle:
            while self._running and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(left)

    def respond(self, request: Request) -> Response:
        with self._idle:
            self._running += 1
        try:
            return self._respond(request)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def _respond(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self.routes.get((method, request.path))
        if handler is None:
            allowed = sorted(verb for verb, path in self.routes if path == request.path)
            if not allowed:
                return text_response(f"Nothing is at {request.path}.", 404)
            refusal = text_response(f"{request.method} is not possible here.", 405)
            return refusal._replace(headers=(("Allow", ", ".join(allowed)),))
        try:
            return handler(request)
        except Exception as mistake:  # noqa: BLE001 - one handler must not take the server along
            self.journal.say(f"{request.method} {request.path} failed: {mistake!r}", "bad")
            return text_response("The application made a mistake; its log says which.", 500)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together, when the request is done
    disable_nagle_algorithm = True
    server: Server

    def _handle(self) -> None:
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True  # the body was not read, so what follows is not a request
            return self._answer(text_response("Send a Content-Length.", 411))
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= LARGEST_BODY:
            self.close_connection = True
            return self._answer(text_response("This body is too large, or its length wrong.", 413))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        headers = {name.lower(): _flat(value) for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        if path.startswith("http://"):  # the form that is meant for a proxy (RFC 9112 §3.2.2)
            path = "/" + path[7:].partition("/")[2]
        return self._answer(self.server.respond(Request(self.command, path, headers, body)))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _handle  # noqa: N815

    def _answer(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in response.headers:
            self.send_header(name, _flat(value))
        if self.server.stopping or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def version_string(self) -> str:
        return "osm-demo"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing: each application says what matters itself."""


def _flat(value: str) -> str:
    # A folded header keeps its line breaks when parsed; sent back, it would add a header.
    return " ".join(value.split())
