"""The application: the API, the page, and the guard before both."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from osm.dashboard.access import Access, LoopbackAccess
from osm.dashboard.answers import error_answer, trouble
from osm.dashboard.api import Api
from osm.dashboard.feed import Feed
from osm.dashboard.guard import Guard
from osm.errors import OsmError
from osm.ports import MeshApi

STATIC = Path(__file__).parent / "static"


def build_app(
    api: MeshApi,
    *,
    access: Access,
    static: Path = STATIC,
    feed: Feed | None = None,
    metrics: Callable[[], bytes] | None = None,
) -> Starlette:
    """Build the server of a running mesh. `app.state.feed` ends its streams with the server.

    `metrics` gives the control plane's own metrics in Prometheus' text format, served at `/metrics`.
    """
    feed = feed or Feed(api.view)
    routes: list[BaseRoute] = [Mount("/api/v1", routes=Api(api, access, feed).routes())]
    if metrics is not None:
        routes.append(Route("/metrics", _exposition(metrics)))
    if isinstance(access, LoopbackAccess):
        routes += _page(static)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={OsmError: _osm_error, HTTPException: _http_error},
    )
    app.state.feed = feed
    return app


def _exposition(metrics: Callable[[], bytes]) -> Callable[[Request], Response]:
    def answer(_request: Request) -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    return answer


def _page(static: Path) -> list[BaseRoute]:
    index = static / "index.html"

    async def page(_request: Request) -> Response:
        if not index.is_file():
            return trouble(503, "The page has not been built.", "Run `make web`, then reload.")
        return FileResponse(index, headers={"cache-control": "no-cache"})

    assets = StaticFiles(directory=static / "assets", check_dir=False)
    return [Route("/", page), Mount("/assets", assets)]


async def _osm_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OsmError)
    return error_answer(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {404: "There is nothing at this address.", 405: "The method is not served here."}
    answer = trouble(error.status_code, messages.get(error.status_code, error.detail))
    answer.headers.update(error.headers or {})
    return answer
