"""The scraper against small servers on unix sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from osm.errors import PlatformError
from osm.telemetry.admin_socket import get_from_socket
from osm.telemetry.scraper import Scraper
from osm.telemetry.traffic import TrafficWindow

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
LABELS = 'source_namespace="a",source_name="a",destination_namespace="b",destination_name="b"'


class Admin:
    """Answers every request with the same bytes. Remembers what was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        await asyncio.sleep(0.01)
        writer.write(self.answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.at_once -= 1


@asynccontextmanager
async def serving(path: Path, answer: bytes) -> AsyncIterator[Admin]:
    admin = Admin(answer)
    server = await asyncio.start_unix_server(admin.serve, path)
    try:
        yield admin
    finally:
        server.close()
        await server.wait_closed()
        while admin.at_once:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def chunked(*parts: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return OK + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(chunked(b"hello ", b"world"), id="chunked"),
        pytest.param(OK + b"content-length: 11\r\n\r\nhello world", id="with a length"),
        pytest.param(OK + b"\r\nhello world", id="until it closes"),
    ],
)
async def test_a_body_is_read_however_it_is_framed(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path / "s", answer):
        assert await get_from_socket(tmp_path / "s", "/stats") == b"hello world"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="half a head"),
        pytest.param(b"HTTP/1.1\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 503 No\r\n\r\n", id="an error"),
        pytest.param(chunked(b"hello")[:-9], id="half a body"),
        pytest.param(OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", id="a chunk of no size"),
        pytest.param(OK + b"transfer-encoding: chunked\r\n\r\n-5\r\n", id="a negative chunk"),
        pytest.param(OK + b"transfer-encoding: chunked\r\n\r\nffffffffff\r\n", id="a huge chunk"),
        pytest.param(b"x" * 2_000_000, id="a head without an end"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_for_people(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path / "s", answer):
        with pytest.raises(PlatformError, match="does not answer /stats"):
            await get_from_socket(tmp_path / "s", "/stats")


async def test_a_proxy_that_is_not_there_or_silent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError):
        await get_from_socket(tmp_path / "none", "/stats")
    silent, gone = asyncio.Event(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_unix_server(never, tmp_path / "s")
    with pytest.raises(PlatformError):
        await get_from_socket(tmp_path / "s", "/stats", deadline_s=0.05)
    silent.set()
    await gone.wait()
    server.close()
    await server.wait_closed()


async def test_a_sweep_reads_every_proxy_and_passes_over_the_dead(tmp_path: Path) -> None:
    window = TrafficWindow()
    line = f'envoy_osm_request_total{{response_code="200",{LABELS}}} 7\n'.encode()
    async with serving(tmp_path / "a", chunked(line)) as admin:
        sockets = {"a": tmp_path / "a", "dead": tmp_path / "dead"}
        scraper = Scraper(lambda: sockets, window)
        await scraper.sweep()
        assert [edge.total for edge in window.edges(0)] == [7]
        assert list(scraper.failing) == ["dead"]
        assert admin.asked == ["GET /stats/prometheus?usedonly&filter=^osm HTTP/1.1"]
        del sockets["dead"]
        await scraper.sweep()
        assert scraper.failing == {}


async def test_no_more_proxies_are_read_at_once_than_was_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path / "a", chunked(b"x")) as admin:
        scraper = Scraper(
            lambda: {str(n): tmp_path / "a" for n in range(20)}, TrafficWindow(), parallel=4
        )
        await scraper.sweep()
        assert len(admin.asked) == 20 and 2 <= admin.most_at_once <= 4


async def test_it_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    async with serving(tmp_path / "a", chunked(b"x")) as admin:
        scraper = Scraper(lambda: {"a": tmp_path / "a"}, TrafficWindow(), interval_s=0.05)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(scraper.run())
            while len(admin.asked) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
        assert task.cancelled()
