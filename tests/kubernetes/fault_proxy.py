"""Stands between a client and a real API server, and does what networks and servers do at their worst."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from .control_plane import ControlPlane

HEAD_LIMIT = 64 * 1024


class Asked(msgspec.Struct, frozen=True):
    """A request, as far as faults look at it."""

    method: str
    path: str
    query: dict[str, list[str]]

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query

    @property
    def is_list(self) -> bool:
        """Either form of a list of everything."""
        whole = self.method == "GET" and self.path.count("/") in (3, 4)
        return whole and (not self.is_watch or "sendInitialEvents" in self.query)


class Fault(msgspec.Struct, frozen=True):
    """What happens to a request. `status`: it is refused with this; `answer`: it is answered with
    this; `forged`: a watch is, with this event; `cut_after_s`: the connection ends; `mute_after_s`:
    it says no more, and does not end; `refuse`: nobody answers.
    """

    status: int = 0
    retry_after_s: int = 0
    answer: bytes = b""
    forged: bytes = b""
    cut_after_s: float | None = None
    mute_after_s: float | None = None
    refuse: bool = False


Choose = Callable[[Asked], Fault | None]


class FaultProxy:
    """`choose` says what happens to each request; `asked` is what came."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self.choose: Choose = lambda _: None
        self.asked: list[Asked] = []
        self.address = ""
        self.kubeconfig = cluster.directory / "fault.kubeconfig"
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[object]] = set()

    def cut_all(self) -> None:
        """End all connections."""
        for writer in self._open:
            writer.transport.abort()

    async def close(self) -> None:
        """End everything that is still under way."""
        serving = tuple(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this callback as a task
        self._serving.add(task)
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            parts = urlsplit(target)
            asked = Asked(method, parts.path, parse_qs(parts.query))
            self.asked.append(asked)
            fault = self.choose(asked)
            if fault is None:
                fault = Fault()
            if fault.refuse:
                return
            if fault.status:
                writer.write(_refusal(fault.status, fault.retry_after_s))
                await writer.drain()
                return
            if fault.answer or fault.forged:
                writer.write(_answer(fault.answer or fault.forged + b"\n"))
                writer.close()
                await writer.wait_closed()  # a page of a list is more than a buffer takes at once
                return
            await self._forward(head, reader, writer, fault)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass  # only `close` cancels, and it is done with us
        finally:
            self._serving.discard(task)
            self._open.discard(writer)
            writer.transport.abort()

    async def _forward(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: Fault,
    ) -> None:
        lines = [line for line in head.split(b"\r\n") if line]
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        up_reader, up_writer = await asyncio.open_connection(
            "127.0.0.1", self._cluster.port, ssl=self._cluster.client_context(), limit=2**20
        )
        pump = asyncio.create_task(_pump(reader, up_writer))
        try:
            up_writer.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]))
            answer = _pump(up_reader, writer)
            if fault.cut_after_s is not None:
                await asyncio.wait_for(answer, fault.cut_after_s)
            elif fault.mute_after_s is not None:
                try:
                    await asyncio.wait_for(answer, fault.mute_after_s)
                except TimeoutError:
                    await asyncio.sleep(600)
            else:
                await answer
        except TimeoutError:
            pass
        finally:
            pump.cancel()
            up_writer.transport.abort()


@asynccontextmanager
async def fault_proxy(
    cluster: ControlPlane, listening: socket.socket | None = None
) -> AsyncIterator[FaultProxy]:
    """A way to the cluster that can be broken; its `kubeconfig` leads there. It is on loopback, or
    where somebody listens already: with `Node.listen`, where pods can call.
    """
    proxy = FaultProxy(cluster)
    where = listening or socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(
        proxy.serve, sock=where, ssl=cluster.server_context(), limit=HEAD_LIMIT
    )
    proxy.address = "{}:{}".format(*where.getsockname())
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{proxy.address}"
    _write(proxy.kubeconfig, config)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round


def _write(path: Path, config: object) -> None:
    path.write_text(json.dumps(config))
    path.chmod(0o600)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(2**16):
        writer.write(chunk)
        await writer.drain()


def _refusal(status: int, retry_after_s: int) -> bytes:
    body = json.dumps(
        {"kind": "Status", "code": status, "reason": "Injected", "message": "a test's fault"}
    ).encode()
    wait = f"Retry-After: {retry_after_s}\r\n" if retry_after_s else ""
    head = (
        f"HTTP/1.1 {status} Injected\r\nContent-Type: application/json\r\n{wait}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
