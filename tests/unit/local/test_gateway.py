"""The way out of pods: where it leads, what it refuses, and that it changes no byte."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from osm.core.model.way_out import HOST_ADDRESS, HOST_NAME
from osm.local import gateway as module
from osm.local.gateway import Gateway, Refused

NAMES: dict[str, Sequence[str]] = {
    "public.test": ("198.51.100.7",),
    "both.test": ("127.0.0.1", "198.51.100.7"),
    "rebound.test": ("127.0.0.1",),
    "keys.test": ("169.254.169.254",),
}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def look_up(name: str) -> Sequence[str]:
    return NAMES.get(name, ())


def gateway(path: Path, *open_ports: int) -> Gateway:
    return Gateway(path, lambda: open_ports, look_up)


def header(address: str, port: int) -> bytes:
    """A PROXY header as Envoy writes it."""
    places = struct.pack(
        ">4s4sHH", IPv4Address("241.0.0.1").packed, IPv4Address(address).packed, 1, port
    )
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(places)) + places


def connect(host: str, port: int) -> bytes:
    """What Envoy writes before it sends bytes for a host."""
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("198.51.100.7", 80, ("198.51.100.7",)),
        ("public.test", 80, ("198.51.100.7",)),
        ("both.test", 80, ("198.51.100.7",)),
        ("unknown.test", 80, ()),
        (HOST_NAME, 5432, ("127.0.0.1",)),
        (HOST_ADDRESS, 5432, ("127.0.0.1",)),
        (HOST_NAME, 15000, None),
        (HOST_ADDRESS, 22, None),
        ("127.0.0.1", 5432, None),
        ("127.8.9.10", 80, None),
        ("0.0.0.0", 80, None),
        ("0.1.2.3", 80, None),
        ("169.254.169.254", 80, None),
        ("224.0.0.1", 80, None),
        ("239.255.255.250", 1900, None),
        ("240.9.0.1", 80, None),
        ("241.0.0.1", 15001, None),
        ("242.0.0.2", 5432, None),
        ("255.255.255.255", 80, None),
        ("rebound.test", 5432, None),
        ("keys.test", 80, None),
    ],
)
async def test_nobody_gets_where_nobody_may(
    tmp_path: Path, host: str, port: int, expected: tuple[str, ...] | None
) -> None:
    way_out = gateway(tmp_path / "out.sock", 5432)
    if expected is None:
        with pytest.raises(Refused):
            await way_out.addresses(host, port)
    else:
        assert tuple(await way_out.addresses(host, port)) == expected


@asynccontextmanager
async def leading_to(
    path: Path, serve: Serve
) -> AsyncIterator[Callable[[bytes], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]]:
    """A gateway, a server on this machine, and how to call it with an opening's `{port}`."""
    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]

        async def call(first: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_unix_connection(path)
            opening = {b"header": header(HOST_ADDRESS, port), b"name": connect(HOST_NAME, port)}
            writer.write(opening.get(first, first))
            return reader, writer

        async with asyncio.timeout(20), gateway(path, port):
            yield call


async def count_and_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read to the end first; the answer is what came, backwards."""
    writer.write((await reader.read(-1))[::-1])
    writer.write_eof()
    writer.close()


async def test_bytes_arrive_as_they_are_and_each_side_ends_by_itself(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB: more than all buffers hold
    async with leading_to(tmp_path / "out.sock", count_and_answer) as call:
        for opening, greeting in ((b"header", b""), (b"name", b"HTTP/1.1 200 OK\r\n\r\n")):
            reader, writer = await call(opening)
            assert await reader.readexactly(len(greeting)) == greeting
            writer.write(data)
            await writer.drain()
            writer.write_eof()
            assert await reader.read(-1) == data[::-1]
            writer.close()


async def test_who_sends_faster_than_the_other_takes_must_wait(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def take_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await count_and_answer(reader, writer)

    async with leading_to(tmp_path / "out.sock", take_later) as call:
        reader, writer = await call(b"header")
        sending = asyncio.create_task(_send(writer, 64 << 20))
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done  # what was sent fills the kernel's buffers, and nothing else
        go_on.set()
        await sending
        assert len(await reader.read(-1)) == 64 << 20
        writer.close()


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size >> 20):
        writer.write(bytes(1 << 20))
        await writer.drain()
    writer.write_eof()


async def test_a_server_that_resets_ends_both_sides(tmp_path: Path) -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with leading_to(tmp_path / "out.sock", reset) as call:
        reader, writer = await call(b"header")
        assert await reader.read(-1) == b""
        writer.close()


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x HTTP/1.1\r\n\r\n",
        b"CONNECT :80 HTTP/1.1\r\n\r\n",
        b"CONNECT x:http HTTP/1.1\r\n\r\n",
        b"CONNECT x:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT \xff:80 HTTP/1.1\r\n\r\n",
        b"CONNECT " + b"x" * 200_000,
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0",  # from nobody to nowhere
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\4abcd",  # too short
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(36),  # IPv6
        header("127.0.0.1", 80),
        connect("rebound.test", 80),
        connect("public.test", 0),
    ],
)
async def test_what_is_no_opening_or_leads_nowhere_is_closed(
    tmp_path: Path, opening: bytes
) -> None:
    async with leading_to(tmp_path / "out.sock", count_and_answer) as call:
        reader, writer = await call(opening)
        writer.write_eof()
        with suppress(ConnectionResetError):  # it did not even read all of it
            assert await reader.read(-1) == b""
        writer.close()
        reader, writer = await call(b"header")  # and others are served as before
        writer.write(b"abc")
        writer.write_eof()
        assert await reader.read(-1) == b"cba"
        writer.close()


async def test_more_connections_than_there_is_room_for_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "most_connections", lambda: 2)
    async with leading_to(tmp_path / "out.sock", count_and_answer) as call:
        held = [await call(b"header") for _ in range(2)]
        for _, writer in held:
            writer.write(b"abc")
            await writer.drain()
        await asyncio.sleep(0.1)
        late, late_writer = await call(b"header")
        with suppress(ConnectionResetError):
            assert await late.read(-1) == b""
        late_writer.close()
        for reader, writer in held:
            writer.write_eof()
            assert await reader.read(-1) == b"cba"
            writer.close()


async def test_only_its_owner_may_connect_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out.sock"
    async with gateway(path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
