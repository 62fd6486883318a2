"""Whatever anybody may send to a port: broken HTTP, HTTP/2, TLS, and bytes."""

import asyncio
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from random import Random

import msgspec

LOOPBACK = "127.0.0.1"
ANSWER_S = 1.0
READ = 64 * 1024

METHODS = (
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PRI",
    "get",
    "\0",
)
PATHS = (
    "/", "/health/ready", "/health/alive", "/metrics", "/version", "/smi/version", "/api/v1/view",
    "/api/v1/explain", "/api/v1/logs?tail=-1&workload=%00", "/api/v1/proxies/a/b/expected",
    "/api/v1/proxies/../../etc/envoy/passwd", "/assets/../../../../etc/passwd", "/assets/%2e%2e/x",
    "/mutate-pod-creation", "/mutate-pod-creation?timeout=NaN", "/validate", "//", "/%ff%fe", "*",
    "/" + "a" * 9000, "http://[::1", "/\x7f", "/?" + "&".join("a=b" for _ in range(2000)),
)  # fmt: skip
HEADERS = (
    "Host: osm", "Host:", "Host: a\r\nHost: b", "Content-Length: 5", "Content-Length: -1",
    "Content-Length: 99999999999999999999", "Content-Length: 1\r\nContent-Length: 2",
    "Transfer-Encoding: chunked", "Transfer-Encoding: chunked, gzip", "Expect: 100-continue",
    "Content-Type: application/json", "Content-Type: text/html; charset=\xff", "Connection: close",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA",
    "Upgrade: websocket\r\nConnection: Upgrade", "Cookie: " + "c" * 20000, "X: " + "\xe9" * 50,
    ": nameless", " folded: x", "Range: bytes=9-1", "Accept: */*;q=NaN", "Authorization: Bearer \xff",
    "Accept-Encoding: " + ",".join(["gzip"] * 500), "Origin: null", "Last-Event-ID: -1",
)  # fmt: skip
BODIES = (
    b"", b"{}", b"null", b"[" * 5000, b'{"request":' * 3000, b"5\r\nhello\r\n0\r\n\r\n", b"FFFFFFFFFF\r\n",
    b"-1\r\n", b'{"request": {"uid": "u", "object": null}}', b"\xff\xfe\x00", b"a" * 70000,
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":1}}',
)  # fmt: skip
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9", "")
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class Door(msgspec.Struct, frozen=True):
    """A port, and in what its clients speak."""

    port: int
    tls: bool = False
    alpn: tuple[str, ...] = ()


def request(rng: Random) -> bytes:
    """Most of it is HTTP."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.choice((1, 9, 200, 5000)))
    headers = [rng.choice(HEADERS) for _ in range(rng.choice((0, 1, 2, 3, 5, 300)))]
    line = f"{rng.choice(METHODS)} {rng.choice(PATHS)} {rng.choice(VERSIONS)}"
    head = "\r\n".join([line, "Host: localhost", *headers, "", ""]).encode("latin-1")
    whole = head + rng.choice(BODIES)
    match rng.randrange(6):
        case 0:
            return whole[: rng.randrange(1, len(whole))]
        case 1:
            at = rng.randrange(len(whole))
            return whole[:at] + rng.randbytes(3) + whole[at + 3 :]
        case _:
            return whole


def frames(rng: Random) -> bytes:
    """The beginning of HTTP/2, and frames of any type, flags and streams."""

    def frame() -> bytes:
        content = rng.randbytes(rng.choice((0, 4, 5, 6, 8, 40, 300)))
        length = len(content) if rng.random() < 0.9 else rng.randrange(2**24)
        stream = rng.choice((0, 1, 2, 3, 2**31 - 1))
        kind, flags = rng.randrange(12), rng.randrange(256)
        return (
            length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content
        )

    settings = b"\0\0\0\4\0\0\0\0\0"
    return HTTP2 + settings + b"".join(frame() for _ in range(rng.choice((1, 3, 50))))


async def statuses(door: Door, sent: bytes) -> Sequence[int]:
    """All that a port answers to it, in HTTP."""
    got = b""
    with suppress(OSError, EOFError):
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(
                LOOPBACK, door.port, ssl=_context(door) if door.tls else None
            )
        try:
            writer.write(sent)
            async with asyncio.timeout(ANSWER_S):
                while chunk := await reader.read(READ):
                    got += chunk[:4096]
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()
    return [int(status) for status in _STATUS.findall(got)]


@cache
def _context(door: Door) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if door.alpn:
        context.set_alpn_protocols(list(door.alpn))
    return context


def inputs(door: Door, rng: Random) -> Iterator[bytes]:
    """Without end."""
    while True:
        yield frames(rng) if door.alpn and rng.random() < 0.8 else request(rng)


async def fuzz(door: Door, rng: Random, seconds: float) -> tuple[int, dict[int, bytes]]:
    """How much was sent, and of each server error one input that led to it."""
    loop = asyncio.get_running_loop()
    until, count, errors = loop.time() + seconds, 0, dict[int, bytes]()
    for sent in inputs(door, rng):
        if loop.time() > until:
            break
        # Now and then, TLS is what is broken.
        plain = door.tls and rng.random() < 0.1
        found = await statuses(Door(door.port) if plain else door, sent)
        count += 1
        errors |= {status: sent for status in found if status >= 500 and status != 503}
    return count, errors
