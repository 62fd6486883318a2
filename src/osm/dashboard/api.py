"""The routes under `/api/v1`: each reads its arguments, asks the mesh, and encodes the answer."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osm import __version__
from osm.core.api.manifest import Key, Manifest
from osm.core.explain.explanation import Question
from osm.core.explain.refusal import Refusal
from osm.dashboard.access import Access, LoopbackAccess
from osm.dashboard.admin import admin_path, media_type, proxy_name
from osm.dashboard.answers import json_answer, trouble
from osm.dashboard.feed import Feed
from osm.dashboard.streams import CountedStream, log_lines
from osm.errors import UsageError
from osm.ports import AppliedObject, ExpectedResource, MeshApi

_MAX_TAIL = 10_000
T = TypeVar("T")


class ObjectItem(msgspec.Struct, frozen=True):
    """An object as it was written."""

    key: Key
    where: str
    raw: Mapping[str, Any]


class ObjectList(msgspec.Struct, frozen=True):
    """What `GET /objects` answers."""

    items: tuple[ObjectItem, ...]


class DeleteRequest(msgspec.Struct, frozen=True):
    """What `POST /delete` takes."""

    keys: tuple[Key, ...]


class Results(msgspec.Struct, frozen=True):
    """What `POST /apply` and `POST /delete` answer."""

    results: tuple[AppliedObject, ...]


class ExpectedResources(msgspec.Struct, frozen=True):
    """What `GET /proxies/<namespace>/<name>/expected` answers."""

    items: tuple[ExpectedResource, ...]


class Session(msgspec.Struct, frozen=True):
    """What the page needs before it may ask questions: the token of this run."""

    token: str
    version: str


class Api:
    """Handlers of the JSON API. They hold no state of their own but the feed of views."""

    def __init__(self, mesh: MeshApi, access: Access, feed: Feed) -> None:
        self._mesh = mesh
        self._access = access
        self._feed = feed

    def routes(self) -> list[Route]:
        """Every route, relative to `/api/v1`."""
        return [
            Route("/view", self.view),
            Route("/events", self.events),
            Route("/objects", self.objects),
            Route("/apply", self.apply, methods=["POST"]),
            Route("/delete", self.delete, methods=["POST"]),
            Route("/explain", self.explain, methods=["POST"]),
            Route("/explain/refusal", self.explain_refusal, methods=["POST"]),
            Route("/proxies/{namespace}/{name}/envoy/{path:path}", self.proxy_admin),
            Route("/proxies/{namespace}/{name}/expected", self.proxy_expected),
            Route("/logs", self.logs),
            Route("/shutdown", self.shutdown, methods=["POST"]),
            Route("/session", self.session),
            Route("/version", self.version),
        ]

    async def view(self, _request: Request) -> Response:
        return Response(msgspec.json.encode(self._mesh.view()), media_type="application/json")

    async def events(self, _request: Request) -> Response:
        if self._feed.is_full:
            return _full()
        return CountedStream(self._feed.events(), feed=self._feed, media_type="text/event-stream")

    async def objects(self, request: Request) -> Response:
        wanted = request.query_params
        items = tuple(
            ObjectItem(manifest.key, manifest.where, manifest.raw)
            for manifest in self._mesh.objects()
            if _is_wanted(manifest, wanted)
        )
        return json_answer(ObjectList(items))

    async def apply(self, request: Request) -> Response:
        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"The objects are not UTF-8 text: {error.reason}.") from error
        dry_run = request.query_params.get("dryRun", "") == "true"
        return json_answer(Results(tuple(await self._mesh.apply(text, dry_run=dry_run))))

    async def delete(self, request: Request) -> Response:
        body = _decoded(await request.body(), DeleteRequest)
        return json_answer(Results(tuple(await self._mesh.delete(body.keys))))

    async def explain(self, request: Request) -> Response:
        return json_answer(self._mesh.explain(_decoded(await request.body(), Question)))

    async def explain_refusal(self, request: Request) -> Response:
        return json_answer(self._mesh.explain_refusal(_decoded(await request.body(), Refusal)))

    async def proxy_admin(self, request: Request) -> Response:
        path, query = request.path_params["path"], request.url.query
        proxy = proxy_name(request.path_params["namespace"], request.path_params["name"])
        answer = await self._mesh.proxy_admin(proxy, admin_path(path, query))
        return Response(answer, media_type=media_type(path, query))

    async def proxy_expected(self, request: Request) -> Response:
        proxy = proxy_name(request.path_params["namespace"], request.path_params["name"])
        return json_answer(ExpectedResources(tuple(self._mesh.proxy_expected(proxy))))

    async def logs(self, request: Request) -> Response:
        if self._feed.is_full:
            return _full()
        query = request.query_params
        lines = self._mesh.logs(
            query.get("workload", ""),
            tail=_tail(query.get("tail", "100")),
            follow=query.get("follow", "") == "true",
        )
        encoded = await log_lines(lines, self._feed)
        return CountedStream(encoded, feed=self._feed, media_type="application/x-ndjson")

    async def shutdown(self, _request: Request) -> Response:
        if isinstance(self._access, LoopbackAccess):
            return trouble(403, "The page cannot end the mesh.", "Use `osm down`.")
        # After the answer: the mesh that ends takes this server with it.
        answer = json_answer({"message": "The mesh ends."}, 202)
        answer.background = BackgroundTask(self._mesh.shutdown)
        return answer

    async def session(self, _request: Request) -> Response:
        token = self._access.token if isinstance(self._access, LoopbackAccess) else ""
        return json_answer(Session(token, __version__))

    async def version(self, _request: Request) -> Response:
        return json_answer({"version": __version__})


def _is_wanted(manifest: Manifest, wanted: Mapping[str, str]) -> bool:
    key = manifest.key
    return (
        wanted.get("kind", key.kind).lower() == key.kind.lower()
        and wanted.get("namespace", key.namespace) == key.namespace
        and wanted.get("name", key.name) == key.name
        and wanted.get("group", key.group) == key.group
    )


def _tail(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise UsageError("`tail` is a number of lines.")
    return min(int(text), _MAX_TAIL)


def _decoded(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"The request cannot be read: {error}.") from error


def _full() -> Response:
    return trouble(503, "Too many streams are open.", "Close other windows of this page.")
