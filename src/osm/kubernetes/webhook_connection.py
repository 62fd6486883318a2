"""One client of a webhook: HTTP/1.1, one request after the other, all of it limited in time and size."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import h11
import msgspec

HEALTH_PATH = "/healthz"
LINGER_S = 1.0
"""Who sends more than we take has so long to read why not."""
_LONGEST_HEADER = 16 * 1024
_CHUNK = 64 * 1024

Answer = Callable[[bytes], Awaitable[bytes]]
"""From the JSON that somebody posted to the JSON of the answer. Raises `Unreadable`."""


class Unreadable(Exception):
    """Nothing can be answered to this. The text is for whoever sent it."""


class Limits(msgspec.Struct, frozen=True):
    """What a caller may use up. Times are in seconds, sizes in bytes."""

    handshake_s: float = 5.0
    request_s: float = 10.0
    """From the first byte of a request (of a new connection: from its handshake) to its last."""
    idle_s: float = 120.0
    """Longer than Go's clients keep a connection (90 s): if we closed one while they begin to use it,
    they would not know whether to ask again."""
    answer_s: float = 15.0
    end_s: float = 3.0
    """When the server ends, for what is being answered, and for clients to begin no more."""
    body: int = 3 * 1024 * 1024
    """As large as the largest object that API servers take."""
    bodies: int = 64 * 1024 * 1024
    """All that are being received at one moment."""
    connections: int = 500


class Reply(msgspec.Struct, frozen=True):
    """What is sent back; `allow` is the method to use instead."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""


class Refused(Exception):
    """A request that is not answered, and why."""

    def __init__(self, status: int, text: str, *, allow: str = "") -> None:
        super().__init__(text)
        self.reply = Reply(status, f"{text}\n".encode(), allow=allow)


class Webhook(Protocol):
    """What all connections share."""

    path: str
    limits: Limits
    received: int
    """Bytes of bodies that are not answered yet."""

    async def answer(self, body: bytes) -> Reply:
        """Raises `Refused`."""
        ...


class Connection:
    """One client, one request after the other."""

    def __init__(
        self, webhook: Webhook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.known = False
        """Whether it has been answered something."""
        self._webhook = webhook
        self._limits = webhook.limits
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEADER)
        self._is_last = False

    def abandon(self) -> None:
        self._writer.transport.abort()

    def last(self) -> None:
        """One more request is answered, and says that it was the last: closed at once, the connection
        would lose what a client begins to send at this moment.
        """
        self._is_last = True

    async def serve(self) -> None:
        """Answer until either side has enough."""
        while await self._begins():
            reply, heard_all = await self._reply()
            self._is_last = self._is_last or not heard_all
            await self._send(reply)
            self.known = True
            if not heard_all:
                await self._linger()
                break
            if self._is_last or self._http.our_state is not h11.DONE:
                break
            self._http.start_next_cycle()
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._writer.wait_closed()

    async def _begins(self) -> bool:
        """Wait for the next request's first byte."""
        if self._http.trailing_data[0]:
            return True
        async with asyncio.timeout(self._limits.idle_s if self.known else self._limits.request_s):
            first = await self._reader.read(_CHUNK)
        if first:
            self._http.receive_data(first)
        return bool(first)

    async def _reply(self) -> tuple[Reply, bool]:
        """The answer, and whether the whole request was heard."""
        size = 0
        try:
            async with asyncio.timeout(self._limits.request_s):
                is_asked = self._check(await self._event())
                body = bytearray()
                while isinstance(data := await self._event(), h11.Data):
                    size += len(data.data)
                    self._webhook.received += len(data.data)
                    self._check_size(size)
                    body += data.data
            if not is_asked:
                return Reply(200, b"ok\n"), True
            return await self._webhook.answer(bytes(body)), True
        except Refused as refused:
            return refused.reply, self._http.their_state is h11.DONE
        except TimeoutError:
            return Reply(408, b"the request did not arrive in time\n"), False
        except h11.RemoteProtocolError as error:
            hint = error.error_status_hint
            return Reply(hint if hint < 500 else 400, b"this is no request that we know\n"), False
        finally:
            self._webhook.received -= size

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                informed = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._http.send(informed) or b"")
            self._http.receive_data(await self._reader.read(_CHUNK))
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError
        return event

    def _check(self, request: object) -> bool:
        """Whether it is the webhook that is asked; else it is about our health. Raises `Refused`."""
        assert isinstance(request, h11.Request)
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        path = request.target.decode("latin-1").partition("?")[0]
        if path not in (self._webhook.path, HEALTH_PATH):
            raise Refused(404, "there is nothing here")
        method = "GET" if path == HEALTH_PATH else "POST"
        if request.method.decode() != method:
            raise Refused(405, f"send {method}", allow=method)
        if method == "GET":
            return False
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json" or "content-encoding" in headers:
            raise Refused(415, "send application/json, not compressed")
        self._check_size(int(headers.get("content-length", "0")))
        return True

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            raise Refused(413, f"at most {self._limits.body} bytes are taken")
        if self._webhook.received > self._limits.bodies:
            raise Refused(503, "too much is being sent at this moment; try again")

    async def _send(self, reply: Reply) -> None:
        """Also of what is left when a request could not be read."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [
            ("content-type", reply.content_type),
            ("content-length", str(len(reply.body))),
            ("x-content-type-options", "nosniff"),
        ]
        if reply.allow:
            headers.append(("allow", reply.allow))
        if self._is_last:
            headers.append(("connection", "close"))
        for event in (
            h11.Response(status_code=reply.status, headers=headers),
            h11.Data(data=reply.body),
            h11.EndOfMessage(),
        ):
            self._writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(self._limits.request_s):
            await self._writer.drain()

    async def _linger(self) -> None:
        """Take what is still on its way: closed at once, the connection would lose the answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(_CHUNK):
                    pass
