"""Serve the page over the made-up bookstore: `python tests/web/preview.py [PORT]`."""

import asyncio
import sys

from osm.dashboard.access import LoopbackAccess
from osm.dashboard.app import build_app
from osm.dashboard.server import listen_loopback, serve
from osm.testing.mesh_api import FakeMeshApi


async def preview(port: int) -> None:
    sock = listen_loopback(port)
    port = sock.getsockname()[1]
    print(f"http://127.0.0.1:{port}/", flush=True)
    await serve(build_app(FakeMeshApi(), access=LoopbackAccess(port)), sock)


if __name__ == "__main__":
    asyncio.run(preview(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
