"""A page and a socket over a made-up bookstore."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from osm.dashboard.access import LoopbackAccess, SocketAccess
from osm.dashboard.app import build_app
from osm.testing.mesh_api import FakeMeshApi

PORT = 15080
ORIGIN = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def mesh() -> FakeMeshApi:
    """The mesh behind the API, one minute old and standing still."""
    seconds = iter([0.0])
    return FakeMeshApi(clock=lambda: next(seconds, 60.0))


@pytest.fixture
def access() -> LoopbackAccess:
    """The page's access, as `osm up` gives it."""
    return LoopbackAccess(PORT)


@pytest.fixture
def page(mesh: FakeMeshApi, access: LoopbackAccess, tmp_path: Path) -> Iterator[TestClient]:
    """A client of the page's port that sends what a browser sends for the page itself."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "assets" / "page.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    app = build_app(mesh, access=access, static=tmp_path)
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def own(access: LoopbackAccess) -> dict[str, str]:
    """The headers of the page's own calls."""
    return {"origin": ORIGIN, "sec-fetch-site": "same-origin", "x-osm-token": access.token}


@pytest.fixture
def socket(mesh: FakeMeshApi) -> Iterator[TestClient]:
    """A client of the unix socket, as the `osm` command is one."""
    app = build_app(mesh, access=SocketAccess())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client
