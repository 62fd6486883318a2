"""The page in a real browser: a made-up bookstore served on loopback, and the system's Chromium."""

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from starlette.applications import Starlette

from osm.dashboard.access import LoopbackAccess
from osm.dashboard.app import STATIC, build_app
from osm.dashboard.feed import Feed
from osm.dashboard.server import listen_loopback, serve
from osm.testing.mesh_api import FakeMeshApi

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that an attacker has turned to this machine.
    "--host-resolver-rules=MAP attacker.test 127.0.0.1",
]
# The browser reports each answer that is an error, and a server that a test has stopped.
EXPECTED = re.compile("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|status of 400")


def end(loop: asyncio.AbstractEventLoop, task: asyncio.Future[None]) -> None:
    """Cancel a task of another thread's loop."""
    loop.call_soon_threadsafe(task.cancel)


class Served:
    """An application on a port of loopback, in a thread of its own: `stop` and `start` it."""

    def __init__(self, build: Callable[[int], Starlette]) -> None:
        self._build = build
        self._ending: Callable[[], None] = lambda: None
        self._thread = threading.Thread()
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        ready = threading.Event()
        sock = listen_loopback(self.port)
        self.port = sock.getsockname()[1]

        async def run() -> None:
            loop = asyncio.get_running_loop()
            accepting = asyncio.Event()
            task = asyncio.ensure_future(serve(self._build(self.port), sock, ready=accepting))
            self._ending = lambda: end(loop, task)
            await accepting.wait()
            ready.set()
            await asyncio.wait({task})

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the server did not start"

    def stop(self) -> None:
        self._ending()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server did not end"


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Tests of the page need the page."""
    assert (STATIC / "index.html").is_file(), "the page is not built: run `make web`"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}: install it, or set CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def mesh() -> FakeMeshApi:
    return FakeMeshApi()


@pytest.fixture
def served(mesh: FakeMeshApi) -> Iterator[Served]:
    def build(port: int) -> Starlette:
        feed = Feed(mesh.view, period_s=0.2)
        return build_app(mesh, access=LoopbackAccess(port), feed=feed)

    server = Served(build)
    yield server
    server.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Iterator[Page]:
    """The page, live, without a complaint of the browser when the test ends."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(served.address)
    page.get_by_role("status").filter(has_text="Live").wait_for()
    yield page
    assert [error for error in errors if not EXPECTED.search(error)] == []
