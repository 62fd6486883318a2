"""Runs an application as a process: arguments, signals, and an orderly end."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from osm.demo.journal import Journal
from osm.demo.server import Response, Routes, Server, text_response
from osm.demo.settings import Environment, text
from osm.errors import OsmError, PlatformError


class Application(Protocol):
    """What the processes of the demo have in common."""

    name: str

    def routes(self) -> Routes: ...

    def start(self) -> None:
        """Begin what goes on in the background."""
        ...

    def stop(self) -> None:
        """End what goes on in the background. The server has stopped by then."""
        ...


_ENDS = (signal.SIGTERM, signal.SIGINT)

Build = Callable[[Environment, Journal], Application]


def main(name: str, port: int, build: Build, arguments: Sequence[str] | None = None) -> int:
    """Serve an application until SIGTERM or SIGINT, and return the exit code."""
    chosen = chosen_port(name, port, arguments)
    bind = bind_address()
    journal = Journal()
    hold_signals()
    try:
        application = build(os.environ, journal)
        server = listen(application, bind, chosen, journal)
    except OsmError as failure:
        Journal(sys.stderr).say(f"{name}: {failure.message}. {failure.hint}")
        return failure.exit_code
    server.start()
    application.start()
    journal.say(f"{name} answers on {bind}:{server.server_port}")
    wait_for_end()
    server.stop()
    application.stop()
    return 0


def hold_signals() -> None:
    """Keep SIGTERM and SIGINT for `wait_for_end`. To be called before any thread is started.

    A handler would not do: the kernel may interrupt any thread, and Python's main thread, which
    alone runs handlers, would sleep on (seen once in thirty ends of a busy application).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)


def wait_for_end() -> None:
    """Sleep until SIGTERM or SIGINT."""
    signal.sigwait(_ENDS)


def listen(application: Application, bind: str, port: int, journal: Journal) -> Server:
    """Return a server, bound and not yet started, for an application and its health checks."""
    routes = {**HEALTH, **application.routes()}
    try:
        return Server(bind, port, routes, journal)
    except OSError as failure:
        raise PlatformError(
            f"cannot listen on {bind}:{port}: {failure.strerror}",
            hint="Choose another --port, or another BIND_ADDRESS.",
        ) from failure


def bind_address() -> str:
    """Return the address to listen on, which the platform may choose."""
    # Everywhere by default: in a pod, the proxy decides who comes in.
    return text(os.environ, "BIND_ADDRESS", "0.0.0.0")  # noqa: S104


def chosen_port(name: str, default: int, arguments: Sequence[str] | None) -> int:
    """Return the port of the command line, which knows nothing but `--port`."""
    parser = argparse.ArgumentParser(prog=f"python -m osm.demo.{name.replace('-', '_')}")
    parser.add_argument("--port", type=int, default=default, help="port to listen on")
    port = parser.parse_args(arguments).port
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise SystemExit(f"{name}: --port is {port}: choose one from 0 to 65535")
    return port


def _healthy(word: str) -> Callable[[object], Response]:
    return lambda _: text_response(f"{word}: ok")


HEALTH: Routes = {
    ("GET", f"/{word}"): _healthy(word) for word in ("liveness", "readiness", "startup")
}
