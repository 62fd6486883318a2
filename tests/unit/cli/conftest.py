"""A mesh that answers on a unix socket, and a way to call `osm` as a shell does."""

import asyncio
import io
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.cli.calls import Mesh, Result, Run, mesh_after

from osm.cli.main import main
from osm.dashboard.access import SocketAccess
from osm.dashboard.app import build_app
from osm.dashboard.server import listen_unix, serve
from osm.testing.mesh_api import FakeMeshApi


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory for meshes. Its path is short, as unix sockets need it."""
    path = Path(tempfile.mkdtemp(prefix="osm-cli-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    # A cluster of whoever runs the tests is nobody's business here.
    monkeypatch.setenv("HOME", str(path))
    for name in ("OSM_MESH", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    root = path / "osm"
    root.mkdir(mode=0o700)
    yield root
    shutil.rmtree(path)


@pytest.fixture
def start_mesh(runtime: Path) -> Iterator[Callable[..., Mesh]]:
    """Start meshes that a test names."""
    stops: list[Callable[[], None]] = []

    def start(name: str = "osm", api: FakeMeshApi | None = None) -> Mesh:
        served = api or mesh_after(42)
        stops.append(serve_mesh(runtime, name, served))
        return Mesh(served, name, runtime)

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def mesh(start_mesh: Callable[..., Mesh]) -> Mesh:
    """The mesh `osm`, running."""
    return start_mesh()


@pytest.fixture(scope="module")
def served_once() -> Iterator[Mesh]:
    """A mesh that all tests of a module share."""
    path = Path(tempfile.mkdtemp(prefix="osm-cli-", dir="/tmp"))
    root = path / "osm"
    root.mkdir(mode=0o700)
    api = mesh_after(42)
    stop = serve_mesh(root, "osm", api)
    yield Mesh(api, "osm", root)
    stop()
    shutil.rmtree(path)


@pytest.fixture
def shared_mesh(served_once: Mesh, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    """The mesh `osm`, for tests that ask and do not change it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(served_once.root.parent))
    return served_once


def serve_mesh(root: Path, name: str, api: FakeMeshApi) -> Callable[[], None]:
    """Serve a mesh on its unix socket, in a thread, until the result is called."""
    directory = root / name
    directory.mkdir()
    sock = listen_unix(directory / "control.sock")
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    serving: list[asyncio.Task[None]] = []

    async def run() -> None:
        listening = asyncio.Event()
        app = build_app(api, access=SocketAccess())
        serving.append(asyncio.ensure_future(serve(app, sock, ready=listening)))
        await listening.wait()
        ready.set()
        await asyncio.wait(serving)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(10)

    def stop() -> None:
        loop.call_soon_threadsafe(serving[0].cancel)
        thread.join(10)
        loop.close()

    api.stop = lambda: loop.call_soon_threadsafe(serving[0].cancel)  # type: ignore[attr-defined]
    return stop


@pytest.fixture
def run(
    runtime: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Call `osm` with arguments and what is on its standard input."""

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(arguments)
        out, err = capsysbinary.readouterr()
        return Result(code, out.decode(), err.decode())

    return call
