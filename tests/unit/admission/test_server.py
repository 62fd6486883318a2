"""What a webhook's server lets its callers do, whoever they are."""

import asyncio
import ssl
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from structlog.testing import capture_logs
from tests.unit.admission.serving import (
    HOST,
    NAME,
    QUICK,
    Running,
    answered,
    new_root,
    request,
    serving,
)

from osm.kubernetes.webhook_connection import Limits, Unreadable


async def echo(body: bytes) -> bytes:
    return body


def der(running: Running) -> bytes:
    return load_pem_x509_certificate(running.pair.certificate).public_bytes(Encoding.DER)


async def test_it_answers_on_one_path_and_says_that_it_lives() -> None:
    async with serving(echo) as running:
        asked = await running.post(b'{"a": 1}', content_type="application/json; charset=utf-8")
        assert (asked.status, asked.body) == (200, b'{"a": 1}')
        assert asked.headers["content-type"] == "application/json"
        assert (await running.send(request(method="GET", path="/healthz"))).status == 200
        # As API servers ask.
        assert (
            await running.send(request(b"{}", path="/mutate-pod-creation?timeout=5s"))
        ).status == 200


async def test_a_connection_is_used_again_and_again() -> None:
    async with serving(echo) as running:
        reader, writer = await running.connect()
        for number in range(3):
            writer.write(request(f"{number}".encode()))
            assert (await answered(reader)).body == f"{number}".encode()
        writer.write(request(b"a") + request(b"b"))
        assert [(await answered(reader)).body, (await answered(reader)).body] == [b"a", b"b"]
        writer.transport.abort()


async def test_a_body_in_chunks_is_taken_and_who_asks_to_go_on_is_told_so() -> None:
    async with serving(echo) as running:
        chunked = request(content_length="none", transfer_encoding="chunked")
        assert (await running.send(chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).body == b"abcde"
        reader, writer = await running.connect()
        writer.write(request(content_length="2", expect="100-continue"))
        assert (await answered(reader)).status == 100
        writer.write(b"ok")
        assert (await answered(reader)).body == b"ok"
        writer.transport.abort()


async def test_new_clients_see_the_present_certificate_and_old_ones_stay() -> None:
    async with serving(echo) as running:
        reader, writer = await running.connect()
        assert await running.presented() == der(running)
        first = der(running)
        running.pair = await running.root.issue_server(NAME)
        assert der(running) != first
        assert await running.presented() == der(running)
        writer.write(request(b"still"))
        assert (await answered(reader)).body == b"still"
        writer.transport.abort()
        running.root = new_root()
        running.pair = await running.root.issue_server(NAME)
        assert (await running.post(b"new root")).body == b"new root"


async def test_a_certificate_that_cannot_be_used_leaves_the_last_good_one() -> None:
    async with serving(echo) as running:
        good = running.pair
        running.pair = msgspec.structs.replace(good, private_key=b"nothing")
        with capture_logs() as logs:
            assert (await running.post(b"a")).body == b"a"
            assert (await running.post(b"b")).body == b"b"
        assert len(logs) == 1, "said once"
        other = await new_root().issue_server(NAME)
        running.pair = msgspec.structs.replace(good, private_key=other.private_key)
        assert (await running.post(b"c")).body == b"c", "a key that belongs to another certificate"


async def test_the_private_key_lies_in_no_file() -> None:
    async with serving(echo) as running:
        await running.presented()
        shown = [
            str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()
        ]
        assert [each for each in shown if "certificate" in each] == []
        assert shown, "it has some files"


async def test_old_tls_is_refused() -> None:
    async with serving(echo) as running:
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = running.client()
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning, match="TLSv1"):
                context.minimum_version = context.maximum_version = version
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await running.connect(context=context)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = running.client()
            context.minimum_version = context.maximum_version = version
            _, writer = await running.connect(context=context)
            assert writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
            writer.transport.abort()


SLOW = {
    "nothing": b"",
    "half a line": b"POST /mut",
    "half a header": b"POST /mutate-pod-creation HTTP/1.1\r\nhost: a\r\n",
    "half a body": request(b"{}", content_length="100"),
    "half a chunk": request(b"5\r\nab", content_length="none", transfer_encoding="chunked"),
}


@pytest.mark.parametrize("said", SLOW.values(), ids=SLOW)
async def test_who_is_slow_is_not_waited_for(said: bytes) -> None:
    async with serving(echo, QUICK) as running:
        reader, writer = await running.connect()
        writer.write(said)
        async with asyncio.timeout(5):
            left = await reader.read()
        assert left.startswith(b"HTTP/1.1 408 ") is (said != b"")
        assert (await running.post(b"good")).body == b"good"
        writer.transport.abort()


async def test_who_begins_no_handshake_is_not_waited_for() -> None:
    async with serving(echo, QUICK) as running:
        reader, writer = await asyncio.open_connection(HOST, running.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.transport.abort()


async def test_a_crowd_that_says_nothing_shuts_nobody_out() -> None:
    async with serving(echo, Limits(connections=10)) as running:
        reader, writer = await running.connect()
        writer.write(request(b"first"))
        await answered(reader)
        crowd = [await running.connect() for _ in range(30)]
        assert (await running.post(b"good")).body == b"good"
        writer.write(request(b"who has asked before stays"))
        assert (await answered(reader)).status == 200
        for _, silent in crowd:
            silent.transport.abort()
        writer.transport.abort()


async def test_sizes_are_limited() -> None:
    async with serving(echo, Limits(body=1000, bodies=3000)) as running:
        assert (await running.post(b"x" * 1000)).status == 200
        too_large = await running.post(b"x" * 1001)
        assert (too_large.status, too_large.body) == (413, b"at most 1000 bytes are taken\n")
        chunks = b"1f4\r\n" + b"x" * 500 + b"\r\n"
        chunked = request(content_length="none", transfer_encoding="chunked")
        assert (await running.send(chunked + chunks * 3)).status == 413
        assert (await running.send(request(x_long="y" * 200_000))).status == 431
        waiting = [await running.connect() for _ in range(4)]
        for _, writer in waiting:
            writer.write(request(b"x" * 999, content_length="1000"))
        statuses = [
            task.result().status
            for task in [asyncio.create_task(answered(reader)) for reader, _ in waiting]
            if (await asyncio.wait({task}, timeout=0.3))[0]
        ]
        assert statuses == [503], "one more than fits"
        for _, writer in waiting:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert (await running.post(b"x" * 1000)).status == 200, "what they held is free again"


async def test_mistakes_of_ours_show_nothing_of_us() -> None:
    async def fail(_: bytes) -> bytes:
        raise ValueError("/secret/path")

    async with serving(fail) as running:
        with capture_logs() as logs:
            found = await running.post(b"{}")
        assert (found.status, found.body) == (
            500,
            b"the mesh made a mistake here; its log has more\n",
        )
        assert len(logs) == 1


async def test_what_cannot_be_read_and_what_takes_too_long() -> None:
    async def answer(body: bytes) -> bytes:
        if body == b"odd":
            raise Unreadable("this is odd")
        await asyncio.sleep(60)
        return body

    async with serving(answer, QUICK) as running:
        odd = await running.post(b"odd")
        assert (odd.status, odd.body) == (400, b"this is odd\n")
        assert (await running.post(b"slow")).status == 503


async def test_at_its_end_it_answers_who_has_asked_or_is_asking_and_lets_the_others_go() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def answer(body: bytes) -> bytes:
        arrived.set()
        await go_on.wait()
        return body

    limits = Limits(end_s=0.5)
    async with serving(answer, limits) as running:
        clients = [await running.connect() for _ in range(3)]
        (asked, asked_writer), (asking, asking_writer), (idle, _) = clients
        asked_writer.write(request(b"asked"))
        await arrived.wait()
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, asking_writer.write, request(b"asking"))
        loop.call_later(0.2, go_on.set)
    for reader, body in ((asked, b"asked"), (asking, b"asking")):
        found = await answered(reader)
        assert (found.body, found.headers["connection"]) == (body, "close")
    assert await idle.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await running.connect()
    for _, writer in clients:
        writer.transport.abort()
