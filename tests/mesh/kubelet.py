"""What stands around a pod's proxy when its probes are asked: the kubelet, and the application."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

KUBELET = {"User-Agent": "kube-probe/1.35", "Accept": "*/*", "Connection": "close"}


class Answer(msgspec.Struct, frozen=True):
    """0: nothing that is HTTP."""

    status: int
    headers: Mapping[str, str] = {}
    body: str = ""


class Application:
    """Answers what it is told to, by path, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        """Heads of requests."""
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        """Status and headers by path with query; 404 otherwise."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked.append(head)
                target = head.split()[1]
                if target == "/hangs":
                    await reader.read(-1)
                    break
                status, headers = self.answers.get(target, (404, {}))
                lines = [f"HTTP/1.1 {status} Said", "Content-Length: 2"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write(("\r\n".join(lines) + "\r\n\r\nok").encode())
        writer.close()
        self._open.discard(writer)

    def stop(self) -> None:
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def application(
    port: int = 0, *, certificate: Path | None = None
) -> AsyncIterator[Application]:
    """A program that listens; with `certificate` (PEM, with its key) by TLS."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        context.set_alpn_protocols(["http/1.1"])
    app = Application(port)
    server = await asyncio.start_server(app.serve, "127.0.0.1", port, ssl=context)
    app.port = server.sockets[0].getsockname()[1]
    try:
        yield app
    finally:
        server.close()
        app.stop()


def own_address() -> str:
    """An address of this machine that no other test listens on."""
    pid = os.getpid()
    return f"127.{66 + (pid >> 16) % 60}.{(pid >> 8) % 256}.{pid % 254 + 1}"


async def ask(address: str, port: int, path: str, *, method: str = "GET", **headers: str) -> Answer:
    """One request, as the kubelet makes it."""
    try:
        async with asyncio.timeout(15):
            reader, writer = await asyncio.open_connection(address, port)
            given = {"Host": f"{address}:{port}", **KUBELET}
            given |= {name.replace("_", "-"): value for name, value in headers.items()}
            lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *fields = head.strip().split("\r\n")
            found = dict(field.lower().split(": ", 1) for field in fields)
            length = 0 if method == "HEAD" else int(found.get("content-length", 0))
            body = (await reader.readexactly(length)).decode()
            writer.close()
    except (OSError, EOFError):
        return Answer(0)
    return Answer(int(status.split()[1]), found, body)
