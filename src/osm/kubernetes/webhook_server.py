"""An HTTPS server for what API servers ask webhooks, open to whoever else finds its port.

By h11 and not by uvicorn, whose parser it is: uvicorn 0.54 limits neither how long a handshake takes,
nor how long a header or a body does, so that 256 callers who say nothing shut everybody out.
"""

import asyncio
import os
import ssl
from collections.abc import Callable

import h11
import structlog

from osm.kubernetes.webhook_connection import (
    LINGER_S,
    Answer,
    Connection,
    Limits,
    Refused,
    Reply,
    Unreadable,
)
from osm.ports import KeyPair

log = structlog.get_logger("osm.webhook")


async def serve_webhook(
    host: str,
    port: int,
    path: str,
    certificate: Callable[[], KeyPair],
    answer: Answer,
    ready: asyncio.Event,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> None:
    """Serve POST `path` and GET /healthz until cancelled. `certificate` is asked at each handshake.

    `ready` is set when connections are accepted. Raises `OSError` when the port is taken.
    """
    webhook = _Webhook(path, answer, limits)
    server = await asyncio.start_server(
        webhook.connected,
        host,
        port,
        ssl=_Certificates(certificate).context,
        ssl_handshake_timeout=limits.handshake_s,
        ssl_shutdown_timeout=LINGER_S,
    )
    try:
        ready.set()
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        await webhook.end()


class _Certificates:
    """Presents to each new client the certificate of that moment."""

    def __init__(self, certificate: Callable[[], KeyPair]) -> None:
        self._certificate = certificate
        self._present: KeyPair | None = None
        self._current = _context()
        self.context = _context()
        self.context.sni_callback = self._choose
        self._renew()

    def _choose(self, client: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Also called for clients that name no server."""
        try:
            self._renew()
        except Exception:  # the last good one, rather than none
            log.exception("a webhook's new certificate cannot be used")
        client.context = self._current

    def _renew(self) -> None:
        pair = self._certificate()
        if pair == self._present:
            return
        self._present = pair
        context = _context()
        # OpenSSL reads keys from files only; this one is in memory, and nobody else's.
        with os.fdopen(os.memfd_create("certificate"), "wb") as file:
            file.write(pair.certificate + b"\n" + pair.private_key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        self._current = context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Webhook:
    """What all connections share."""

    def __init__(self, path: str, answer: Answer, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self.received = 0
        """Bytes of bodies that are not answered yet."""
        self._answer = answer
        self._connections: dict[Connection, asyncio.Task[object] | None] = {}

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self._connections[connection] = asyncio.current_task()
        if len(self._connections) > self.limits.connections:
            # Whoever has never asked anything makes room, the oldest first.
            next((each for each in self._connections if not each.known), connection).abandon()
        try:
            await connection.serve()
        except (OSError, ssl.SSLError, h11.ProtocolError, TimeoutError):
            pass  # the caller went, or is no HTTP client
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would take a cancelled task for a mistake
        finally:
            del self._connections[connection]
            connection.abandon()

    async def answer(self, body: bytes) -> Reply:
        try:
            async with asyncio.timeout(self.limits.answer_s):
                return Reply(200, await self._answer(body), "application/json")
        except Unreadable as error:
            raise Refused(400, str(error)) from None
        except TimeoutError:
            raise Refused(503, "this took too long; try again") from None
        except Exception:
            log.exception("a webhook's call was not answered")
            raise Refused(500, "the mesh made a mistake here; its log has more") from None

    async def end(self) -> None:
        """Answer what is asked until clients have noticed, and close everything."""
        for connection in tuple(self._connections):
            connection.last()
        tasks = [task for task in self._connections.values() if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self.limits.end_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
