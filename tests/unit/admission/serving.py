"""A webhook that serves on loopback, and clients that say what they like to it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
from tests.kubernetes.control_plane import free_ports

from osm.issuers.root_pem import Place, create_root
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.kubernetes.webhook_connection import Answer, Limits
from osm.kubernetes.webhook_server import serve_webhook
from osm.ports import KeyPair

HOST = "127.0.0.1"
NAME = "osm-injector.osm-system.svc"
PATH = "/mutate-pod-creation"
QUICK = Limits(handshake_s=0.3, request_s=0.3, idle_s=0.6, answer_s=0.3, end_s=0.5)


class Answered(msgspec.Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Running:
    """A webhook that runs, with a root of its own."""

    def __init__(self, root: Tresor, pair: KeyPair) -> None:
        self.root = root
        self.pair = pair
        (self.port,) = free_ports(1)

    async def connect(
        self, *, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            HOST, self.port, ssl=context or self.client(), server_hostname=NAME
        )

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root.trust_bundle.decode())

    async def presented(self) -> bytes:
        """The certificate that a new client sees, in DER."""
        _, writer = await self.connect()
        try:
            found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return found
        finally:
            writer.transport.abort()

    async def send(self, request: bytes) -> Answered:
        """One request on its own connection."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            return await answered(reader)
        finally:
            writer.transport.abort()

    async def post(self, body: bytes, **headers: str) -> Answered:
        return await self.send(request(body, **headers))


def request(body: bytes = b"", *, method: str = "POST", path: str = PATH, **headers: str) -> bytes:
    """A request with these headers; `content_length` and so on may be given otherwise."""
    given = {
        "host": NAME,
        "content-type": "application/json",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in given.items() if v != "none")]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def answered(reader: asyncio.StreamReader) -> Answered:
    """Read one answer; raises `IncompleteReadError` when there is none."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Answered(int(first.split()[1]), headers, body)


def new_root() -> Tresor:
    return Tresor.of(
        *create_root(datetime.now(UTC)),
        Place("ca.crt", "private.key", ""),
        trust_domain="cluster.local",
        leaf_validity=timedelta(days=1),
        clock=SystemClock(),
    )


@contextlib.asynccontextmanager
async def serving(answer: Answer, limits: Limits = Limits()) -> AsyncIterator[Running]:  # noqa: B008
    """Serve until the end of the context; `pair` may be replaced meanwhile."""
    root = new_root()
    running = Running(root, await root.issue_server(NAME))
    ready = asyncio.Event()
    task = asyncio.create_task(
        serve_webhook(HOST, running.port, PATH, lambda: running.pair, answer, ready, limits)
    )
    await asyncio.wait_for(ready.wait(), 5)
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
