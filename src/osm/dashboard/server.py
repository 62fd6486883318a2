"""Serving an application on a socket, as a task that ends cleanly when it is cancelled."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import h11
import uvicorn
from starlette.applications import Starlette

from osm.errors import PlatformError

_MAX_CONNECTIONS = 256
_END_S = 3


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: whoever runs the task decides when it ends."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen_loopback(port: int = 0) -> socket.socket:
    """Bind 127.0.0.1; port 0 takes a free one (`.getsockname()[1]` tells which)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except OSError as error:
        sock.close()
        raise PlatformError(
            f"Cannot listen on 127.0.0.1:{port}: {error.strerror}.",
            hint="Another program has this port. Choose another one, or 0 for any that is free.",
        ) from error
    return sock


def listen_everywhere(port: int) -> socket.socket:
    """Bind all addresses of this machine, of both families where it has both."""
    family, host = (
        (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")  # noqa: S104
    )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise PlatformError(
            f"Cannot listen on port {port}: {error.strerror}.", hint="Another program has it."
        ) from error
    return sock


def listen_unix(path: Path) -> socket.socket:
    """Bind a unix socket that only its owner may open. Replaces one that nobody serves any more."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        # The mode must be right from the first moment, not only after a chmod.
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        sock.close()
        raise PlatformError(
            f"Cannot listen on {path}: {error.strerror or error}.",
            hint="Is another mesh running? See `osm status`.",
        ) from error
    return sock


class _NotOurs(logging.Filter):
    """Drops the traceback that uvicorn 0.54 makes of a client who sends nonsense, or is gone amid its
    request: it answers, and h11 lets nothing more be sent. Anybody could fill the log with these.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], h11.LocalProtocolError))


_NOT_OURS = _NotOurs()


async def serve(app: Starlette, sock: socket.socket, *, ready: asyncio.Event | None = None) -> None:
    """Serve until cancelled; then end the streams, close the socket and remove its file.

    `ready` is set when connections are accepted.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        date_header=False,
        lifespan="off",
        limit_concurrency=_MAX_CONNECTIONS,
        log_config=None,
        log_level="error",  # who sends what is no HTTP must not fill the log
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_END_S,
        ws="none",
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_NOT_OURS)
    server = _Server(config, ready or asyncio.Event())
    path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
    # Not a child of this task: cancelled, uvicorn would leave its connections half served.
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        if (feed := getattr(app.state, "feed", None)) is not None:
            feed.closing.set()
        server.should_exit = True
        await asyncio.wait({serving}, timeout=_END_S + 2)
        serving.cancel()
        raise
    finally:
        sock.close()
        if path:
            Path(path).unlink(missing_ok=True)


def _remove_dead(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path} is in the way and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another process serves it")
