"""The two doors of a running mesh: a unix socket for the `osm` command, a loopback port for the page."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.server import listen_loopback, listen_unix, serve
from osm.ports import MeshApi
from osm.runtime.tasks import BackgroundTasks


async def open_doors(
    api: MeshApi,
    registry: CollectorRegistry,
    control_socket: Path,
    page_port: int,
    group: BackgroundTasks,
) -> str:
    """Serve both; returns the page's address when both answer. Port 0 takes any that is free."""
    ready = [asyncio.Event(), asyncio.Event()]
    page = listen_loopback(page_port)
    port = page.getsockname()[1]
    control = listen_unix(control_socket)

    def metrics() -> bytes:
        return generate_latest(registry)

    for access, sock, event in (
        (SocketAccess(), control, ready[0]),
        (LoopbackAccess(port), page, ready[1]),
    ):
        group.spawn(serve(build_app(api, access=access, metrics=metrics), sock, ready=event))
    for event in ready:
        await event.wait()
    return f"http://127.0.0.1:{port}/"
