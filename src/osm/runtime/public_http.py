"""What a control plane in a cluster tells everybody: that it is well, its metrics, its versions.

Paths are OSM's (`reference/osm.md` §5.1).
"""

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from osm import __version__
from osm.core.api.registry import KINDS
from osm.core.install.names import HTTP_PORT
from osm.core.model.groups import ACCESS, SPECS, SPLIT
from osm.dashboard.server import listen_everywhere, serve
from osm.runtime.tasks import BackgroundTasks

_WELL = "Health OK"


async def open_public_http(
    registry: CollectorRegistry, why_unready: Callable[[], str], group: BackgroundTasks
) -> None:
    """Serve; returns when it answers. `why_unready` is empty as soon as proxies are served."""
    ready = asyncio.Event()
    app = build_public_app(registry, why_unready)
    group.spawn(serve(app, listen_everywhere(HTTP_PORT), ready=ready))
    await ready.wait()


def build_public_app(registry: CollectorRegistry, why_unready: Callable[[], str]) -> Starlette:
    """The application of port 9091."""

    def is_ready(_request: Request) -> Response:
        why = why_unready()
        return PlainTextResponse(why or _WELL, status_code=503 if why else 200)

    async def is_alive(_request: Request) -> Response:
        return PlainTextResponse(_WELL)  # the event loop answers

    def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    def version(_request: Request) -> Response:
        return JSONResponse({"version": __version__, "git_commit": "", "build_date": ""})

    return Starlette(
        routes=[
            Route("/health/ready", is_ready),
            Route("/health/alive", is_alive),
            Route("/metrics", metrics),
            Route("/version", version),
            Route("/smi/version", lambda _: JSONResponse(smi_versions())),
        ]
    )


def smi_versions() -> dict[str, str]:
    """The newest version of each kind of SMI's, as OSM's `osm mesh list` reads it."""
    return {
        kind.kind: kind.api_version
        for kind in KINDS
        if kind.group in (ACCESS, SPECS, SPLIT) and kind.supported
    }
