"""What stands for a mesh on a cluster without nodes: its control plane, and pods with proxies.

The control plane behind the forwarded port is the one that tests of the command line have; it stands
still.
"""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from tests.kubernetes.control_plane import ControlPlane
from tests.unit.cli.calls import mesh_after

from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.server import listen_unix, serve
from osm.runtime.public_http import build_public_app
from osm.testing.mesh_api import FakeMeshApi

from .kubelet import Kubelet, create_pod
from .verbs import stand_for_mesh

CONTROLLER = "osm-controller-1"


@asynccontextmanager
async def standing_mesh(cluster: ControlPlane, node: Kubelet) -> AsyncIterator[str]:
    """A mesh of this name, in the namespace of this name, whose control plane answers."""
    name = f"m-{uuid.uuid4().hex[:8]}"
    api = mesh_after(42)
    apps = {
        9094: build_app(api, access=SocketAccess()),
        9095: build_app(api, access=LoopbackAccess(0)),
        9091: build_public_app(CollectorRegistry(), lambda: ""),
    }
    await cluster.make_namespace(name)
    await stand_for_mesh(cluster, name, name)
    labels = {"app": "osm-controller"}
    containers = ("osm-controller",)
    await create_pod(
        cluster, name, CONTROLLER, node=node.node, labels=labels, containers=containers
    )
    with tempfile.TemporaryDirectory(prefix="osm-") as folder:
        serving = []
        for port, app in apps.items():
            socket = Path(folder) / f"{port}.sock"
            serving.append(await _serve(app, socket))
            node.ports[CONTROLLER, port] = socket
        yield name
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    await cluster.kubectl("delete", "namespace", name, "--wait=false")


async def _serve(app: Starlette, socket: Path) -> asyncio.Future[None]:
    ready = asyncio.Event()
    task = asyncio.ensure_future(serve(app, listen_unix(socket), ready=ready))
    await ready.wait()
    return task


@asynccontextmanager
async def second_replica(
    cluster: ControlPlane, node: Kubelet, mesh: str, api: FakeMeshApi
) -> AsyncIterator[None]:
    """Another pod of a mesh's control plane, with what it knows."""
    name = "osm-controller-2"
    labels = {"app": "osm-controller"}
    await create_pod(cluster, mesh, name, node=node.node, labels=labels)
    with tempfile.TemporaryDirectory(prefix="osm-") as folder:
        socket = Path(folder) / "api.sock"
        serving = await _serve(build_app(api, access=SocketAccess()), socket)
        node.ports[name, 9094] = socket
        yield
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def standing_shop(
    cluster: ControlPlane, namespace: str, node: Kubelet, answers: dict[str, bytes] | None = None
) -> AsyncIterator[None]:
    """The pods `cart` (meshed), `plain`, and `waiting` (meshed, not running) in a namespace.

    The proxy of `cart` says at each path what `answers` has, else what it was asked.
    """

    async def envoy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
        path = line.split()[1].decode().lstrip("/").partition("?")[0]
        body = (answers or {}).get(path, b"asked: " + line.rpartition(b" ")[0] + b"\n")
        status = b"404 Not Found" if path == "nothing" else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(envoy, "127.0.0.1", 0)
    node.ports["cart", 15000] = listener.sockets[0].getsockname()[1]
    meshed = {"osm-proxy-uuid": "b1"}
    both = ("cart", "envoy")
    await create_pod(cluster, namespace, "cart", node=node.node, labels=meshed, containers=both)
    await create_pod(cluster, namespace, "plain", node=node.node)
    await create_pod(
        cluster, namespace, "waiting", node=node.node, labels=meshed, phase="Pending", ready=False
    )
    yield
    listener.close()
