"""Starts the demo's applications inside of the test, on free ports of the loopback address."""

import io
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from osm.demo.client import Answer, fetch
from osm.demo.database import server_arguments, server_binary
from osm.demo.journal import Journal
from osm.demo.process import Application, listen
from osm.demo.server import Request, Response, Routes, Server
from osm.demo.settings import Environment

LOOPBACK = "127.0.0.1"


class Running(NamedTuple):
    """An application that serves; its loop runs only if it was started."""

    application: Application
    url: str
    journal: Journal
    log: io.StringIO

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return fetch(method, self.url + path, headers or {}, body, environment={})

    def raw(self) -> object:
        return json.loads(self.ask("/raw").body)


@contextmanager
def running(
    build: Callable[[Environment, Journal], Application],
    environment: Environment,
    *,
    start: bool = False,
) -> Iterator[Running]:
    """Serve an application, with its background work if that is asked for."""
    log = io.StringIO()
    journal = Journal(log)
    application = build(environment, journal)
    server = listen(application, LOOPBACK, 0, journal)
    server.start(poll_s=0.01)
    if start:
        application.start()
    try:
        yield Running(application, f"http://{LOOPBACK}:{server.server_port}", journal, log)
    finally:
        server.stop()
        application.stop()


class Recorder:
    """A server that keeps what it was asked, and answers what it was told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.responses: dict[str, Response] = {}
        self.delay_s = 0.0

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        time.sleep(self.delay_s)
        return self.responses.get(request.path, Response(403, b"refused by the mesh\n"))


@contextmanager
def recording(*paths: str) -> Iterator[tuple[Recorder, str]]:
    """Serve a recorder at the given paths, and yield it with its URL."""
    recorder = Recorder()
    methods = ("GET", "POST")
    routes: Routes = {(method, path): recorder.respond for method in methods for path in paths}
    server = Server(LOOPBACK, 0, routes, Journal(io.StringIO()))
    server.start(poll_s=0.01)
    try:
        yield recorder, f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.stop()


@contextmanager
def database(port: int) -> Iterator[None]:
    """Run the demo's real database server until the block ends."""
    command = [str(server_binary()), *server_arguments(LOOPBACK, port)[1:]]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: can_connect(port), "the database accepts connections")
            yield
        finally:
            process.kill()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def can_connect(port: int) -> bool:
    """Tell whether somebody listens on a port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def wait_until(claim: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
    """Wait until a claim holds; fail the test when it does not in time."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, f"not in {within_s:g} s: {what}"
        time.sleep(0.01)
