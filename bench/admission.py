"""The injector's webhook as a process of its own, and a process of somebody who sends it nonsense.

`python -m bench.admission serve` and `… abuse PORT RATE` run until their standard input ends.
"""

import asyncio
import itertools
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from random import Random

import msgspec
from tests.unit.admission.reviews import injector
from tests.unit.admission.serving import HOST, NAME, request, serving
from tests.unit.admission.test_malformed import BODIES, REQUESTS

from osm.runtime.logs import send_logs_to

TEN_MEGABYTES = request(b" " * (10 * 1024 * 1024))
_READ = 64 * 1024


class Where(msgspec.Struct, frozen=True):
    """What a client must know of the webhook."""

    port: int
    trusted: str
    """PEM."""
    pid: int

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.trusted)


def nonsense() -> Mapping[str, bytes]:
    """Each kind of it that the tests of row W5 refuse."""
    bodies = {kind: request(body) for kind, body in BODIES.items()}
    whole = {kind: sent for kind, (sent, _) in REQUESTS.items()}
    return bodies | whole | {"10 MB": TEN_MEGABYTES}


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the two; it ends with the block."""
    running = subprocess.Popen(
        [sys.executable, "-m", "bench.admission", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield running
    finally:
        assert running.stdin is not None
        running.stdin.close()
        running.wait()


@contextmanager
def webhook() -> Iterator[Where]:
    """One that serves."""
    with process("serve") as running:
        assert running.stdout is not None
        yield msgspec.json.decode(running.stdout.readline(), type=Where)


@contextmanager
def abused(where: Where, per_s: int) -> Iterator[list[int]]:
    """Somebody sends nonsense so often; at the end the list has how much of it there was. In the block
    it has begun.
    """
    counts: list[int] = []
    with process("abuse", str(where.port), str(per_s)) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdout.readline()
        yield counts
        running.stdin.close()
        counts.append(int(running.stdout.read()))


async def _serve(ended: asyncio.Event) -> None:
    async with serving(injector()) as running:
        where = Where(running.port, running.root.trust_bundle.decode(), os.getpid())
        print(msgspec.json.encode(where).decode(), flush=True)
        await ended.wait()


async def _abuse(port: int, per_s: int, ended: asyncio.Event) -> None:
    """By a clock, each on a connection of its own: an attacker waits for nobody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = tuple(nonsense().values())
    kinds = itertools.cycle(Random(1).sample(sent, len(sent)))
    loop, count = asyncio.get_running_loop(), 0
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        print("begun", flush=True)
        while not ended.is_set():
            group.create_task(send(port, context, next(kinds)))
            count += 1
            await asyncio.sleep(max(0.0, begun + count / per_s - loop.time()))
    print(count, flush=True)


async def send(port: int, context: ssl.SSLContext, sent: bytes) -> None:
    """On a connection of its own, until some answer came."""
    with suppress(OSError, TimeoutError, ssl.SSLError):
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(
                HOST, port, ssl=context, server_hostname=NAME
            )
            try:
                writer.write(sent)
                await reader.read(_READ)
            finally:
                writer.transport.abort()


async def reviews(where: Where, body: bytes, per_s: int, seconds: float) -> list[float]:
    """How long each of so many good calls took, in ms, from when it was due. One connection, as API
    servers keep one; a call that is late makes those behind it late.
    """
    times: list[float] = []
    reader, writer = await asyncio.open_connection(
        HOST, where.port, ssl=where.context(), server_hostname=NAME
    )
    try:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(int(per_s * seconds)):
            due = begun + number / per_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(request(body))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"a good call was refused: {head[:100]!r}")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append((loop.time() - due) * 1000)
    finally:
        writer.transport.abort()
    return times


async def _main(arguments: Sequence[str]) -> None:
    send_logs_to(lambda _text, _is_error: None)  # standard output is for figures
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    match arguments:
        case ["serve"]:
            await _serve(ended)
        case ["abuse", port, per_s]:
            await _abuse(int(port), int(per_s), ended)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
