"""A node without a machine: the API server's way to pods' ports and logs, for tests without a kubelet.

A real API server proxies port-forwards and logs to the address in a Node object. This answers there as
a kubelet does: TLS, the WebSocket protocol of port-forward, and logs as plain HTTP.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.kubernetes.control_plane import ControlPlane
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request

HEAD_LIMIT = 64 * 1024
Target = Path | int | str
"""A unix socket, a port of loopback, or the error that there is instead."""


class Kubelet:
    """`ports` says where the ports of pods lead, `logs` what their containers printed."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.ports: dict[tuple[str, int], Target] = {}
        self.logs: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self._tasks: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            url = urlsplit(head.split(b" ", 2)[1].decode())
            self.asked.append(url.path)
            match url.path.strip("/").split("/"):
                case ["portForward", _, pod]:
                    port = int(parse_qs(url.query)["port"][0])
                    await self._forward((pod, port), head, reader, writer)
                case ["containerLogs", _, pod, container]:
                    await self._print(self.logs.get((pod, container), ""), url.query, writer)
                case _:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _print(self, text: str, query: str, writer: asyncio.StreamWriter) -> None:
        asked = parse_qs(query)
        lines = text.splitlines(keepends=True)
        if "tailLines" in asked:
            lines = lines[-int(asked["tailLines"][0]) :]
        content = "".join(lines).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()

    async def _forward(
        self,
        where: tuple[str, int],
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(head)
        asked = next(iter(connection.events()))
        assert isinstance(asked, Request)
        assert asked.subprotocols == ["v4.channel.k8s.io"]
        writer.write(connection.send(AcceptConnection(subprotocol=asked.subprotocols[0])))
        number = where[1].to_bytes(2, "little")
        for channel in (b"\0", b"\1"):
            writer.write(connection.send(BytesMessage(channel + number)))
        target = self.ports.get(where, f"failed to dial {where[1]}: connection refused")
        if isinstance(target, str):
            writer.write(connection.send(BytesMessage(b"\1" + target.encode())))
        elif isinstance(target, Path):
            await _carry(connection, reader, writer, *await asyncio.open_unix_connection(target))
        else:
            await _carry(
                connection, reader, writer, *await asyncio.open_connection("127.0.0.1", target)
            )
        writer.write(connection.send(CloseConnection(1000)))
        await writer.drain()


async def _carry(
    connection: WSConnection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pod_reader: asyncio.StreamReader,
    pod_writer: asyncio.StreamWriter,
) -> None:
    async def to_pod() -> None:
        while data := await reader.read(64 * 1024):
            connection.receive_data(data)
            for event in connection.events():
                match event:
                    case BytesMessage():
                        # A frame may come in pieces; only the first begins with the channel.
                        piece = bytes(event.data)
                        pod_writer.write(piece if to_pod.inside else piece[1:])  # type: ignore[attr-defined]
                        to_pod.inside = not event.message_finished  # type: ignore[attr-defined]
                    case Ping():
                        writer.write(connection.send(event.response()))
                    case CloseConnection():
                        return
            await pod_writer.drain()

    async def from_pod() -> None:
        while data := await pod_reader.read(32 * 1024):
            writer.write(connection.send(BytesMessage(b"\0" + data)))
            await writer.drain()

    to_pod.inside = False  # type: ignore[attr-defined]
    tasks = [asyncio.ensure_future(to_pod()), asyncio.ensure_future(from_pod())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pod_writer.close()


@asynccontextmanager
async def kubelet(cluster: ControlPlane) -> AsyncIterator[Kubelet]:
    """A node of the cluster; its object goes in the end."""
    running = Kubelet(f"node-{uuid.uuid4().hex[:8]}")
    listener = await asyncio.start_server(
        running.serve, "127.0.0.1", 0, ssl=cluster.server_context(), limit=HEAD_LIMIT
    )
    port = listener.sockets[0].getsockname()[1]
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": running.node},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
    await cluster.kubectl("create", "-f", "-", text=json.dumps(node))
    try:
        yield running
    finally:
        with suppress(RuntimeError):
            await cluster.kubectl("delete", "node", running.node, "--wait=false")
        listener.close()
        await running.close()


async def create_pod(
    cluster: ControlPlane,
    namespace: str,
    name: str,
    *,
    node: str,
    labels: dict[str, str] | None = None,
    containers: tuple[str, ...] = ("app",),
    phase: str = "Running",
    ready: bool = True,
) -> None:
    """A pod as it is once its kubelet has started it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": each, "image": f"mesh.local/{each}:1"} for each in containers],
        },
    }
    await cluster.kubectl("create", "-f", "-", text=json.dumps(pod))
    status = {
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "podIP": "10.88.0.7",
            "podIPs": [{"ip": "10.88.0.7"}],
        }
    }
    await cluster.kubectl(
        "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps(status),
    )  # fmt: skip
