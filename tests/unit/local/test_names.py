"""The name server of a pod."""

import asyncio
import random
import socket
import struct
from collections.abc import Sequence

import pytest

from osm.local.names import answer, serve_names

ADDRESSES = {"outside.test": ["198.51.100.7", "198.51.100.8"], "many.test": ["198.51.100.1"] * 50}
A, AAAA, HTTPS, ANY = 1, 28, 65, 255


async def look_up(name: str) -> Sequence[str]:
    return ADDRESSES.get(name, ())


def query(
    name: str, kind: int = A, family: int = 1, flags: int = 0x0100, more: bytes = b""
) -> bytes:
    labels = b"".join(
        bytes([len(each)]) + each.encode("latin-1") for each in name.split(".") if each
    )
    head = struct.pack(">HHHHHH", 0xBEEF, flags, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack(">HH", kind, family) + more


async def ask(data: bytes) -> tuple[int, list[str]]:
    """The code and the addresses of an answer, whose frame must be right."""
    reply = await answer(data, look_up)
    number, flags, questions, records, authorities, others = struct.unpack_from(">6H", reply)
    assert (number, questions, authorities, others) == (0xBEEF, 1, 0, 0)
    assert flags & 0x8180 == 0x8180 and len(reply) <= 512
    found = []
    start = len(reply) - 16 * records
    for position in range(start, len(reply), 16):
        head = struct.unpack_from(">HHHIH", reply, position)
        assert head == (0xC00C, 1, 1, 5, 4)
        found.append(socket.inet_ntoa(reply[position + 12 : position + 16]))
    assert reply[12:start] == data[12:start]  # the question, as it was asked
    return flags & 15, found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (query("outside.test"), (0, ["198.51.100.7", "198.51.100.8"])),
        (query("OutSide.TEST"), (0, ["198.51.100.7", "198.51.100.8"])),
        (query("outside.test", more=b"\0\0\x29\x10\0" + bytes(6)), (0, ADDRESSES["outside.test"])),
        (query("outside.test", AAAA), (0, [])),
        (query("outside.test", HTTPS), (0, [])),
        (query("outside.test", ANY), (0, [])),
        (query("many.test"), (0, ["198.51.100.1"] * 16)),
        (query("inner.test"), (3, [])),
        (query("inner.test", AAAA), (3, [])),
        (query(""), (3, [])),
        (query("a b.test"), (3, [])),
        (query("\xe4.test"), (3, [])),
        (query("outside.test", family=3), (4, [])),
        (query("outside.test", flags=0x2900), (4, [])),
    ],
)
async def test_who_may_leave_by_a_name_learns_its_addresses(
    data: bytes, expected: tuple[int, list[str]]
) -> None:
    assert await ask(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 12,
        query("outside.test")[:-1],
        query("outside.test", flags=0x8180),  # an answer
        query("outside.test")[:12] + b"\xc0\x0c\0\1\0\1",  # leads to itself
        query("outside.test")[:12] + b"\x3fshort\0\0\1\0\1",
        query("outside.test").replace(b"\0\1", b"\0\2", 1),  # two questions
    ],
)
async def test_what_is_no_question_gets_no_answer(data: bytes) -> None:
    assert await answer(data, look_up) == b""


async def test_garbage_never_ends_it() -> None:
    dice = random.Random(7)
    for _ in range(2000):
        data = bytearray(query("outside.test"))
        for _ in range(dice.randrange(6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        reply = await answer(bytes(data[: dice.randrange(len(data) + 1)]), look_up)
        assert reply == b"" or len(reply) >= 12


async def test_a_slow_name_keeps_nobody_else_waiting() -> None:
    async def slowly(name: str) -> Sequence[str]:
        if name == "slow.test":
            await asyncio.sleep(60)
        return await look_up(name)

    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller,
    ):
        for each in (line, caller):
            each.setblocking(False)
            each.bind(("127.0.0.1", 0))
        serving = loop.create_task(serve_names(line, slowly))
        for name in ("slow.test", "outside.test"):
            await loop.sock_sendto(caller, query(name), line.getsockname())
        async with asyncio.timeout(5):
            reply = await loop.sock_recv(caller, 512)
        assert reply.endswith(socket.inet_aton("198.51.100.8"))
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
