"""The two doors of a running mesh: one for the `osm` command, one for the page."""

import asyncio
from pathlib import Path
from socket import socket

from prometheus_client import CollectorRegistry, generate_latest

from osm.core.install.names import API_PORT, PAGE_PORT
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
    """Serve a unix socket for the command, a loopback port for the page (0: any that is free).

    Returns the page's address when both answer.
    """
    page = listen_loopback(page_port)
    port = page.getsockname()[1]
    control = listen_unix(control_socket)
    await _open(api, registry, control, page, LoopbackAccess(port), group)
    return f"http://127.0.0.1:{port}/"


async def open_pod_doors(api: MeshApi, registry: CollectorRegistry, group: BackgroundTasks) -> None:
    """Serve both on loopback of a pod: whoever may forward ports to it may use them."""
    control, page = listen_loopback(API_PORT), listen_loopback(PAGE_PORT)
    await _open(api, registry, control, page, LoopbackAccess(0), group)


async def _open(
    api: MeshApi,
    registry: CollectorRegistry,
    control: socket,
    page: socket,
    page_access: LoopbackAccess,
    group: BackgroundTasks,
) -> None:
    def metrics() -> bytes:
        return generate_latest(registry)

    ready = [asyncio.Event(), asyncio.Event()]
    for access, sock, event in (
        (SocketAccess(), control, ready[0]),
        (page_access, page, ready[1]),
    ):
        group.spawn(serve(build_app(api, access=access, metrics=metrics), sock, ready=event))
    for event in ready:
        await event.wait()
