"""The guard before every route: who asks, from where, how much; and the headers of every answer.

A page on loopback is reachable by every web site that its owner visits. DNS rebinding is stopped by
the list of hosts, foreign pages by `Origin` and `Sec-Fetch-Site` (Fetch Metadata), forged forms by
the token, framing and injected scripts by the Content-Security-Policy.
"""

import hmac
import logging
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osm.dashboard.access import Access, LoopbackAccess
from osm.dashboard.answers import trouble

TOKEN_HEADER = "x-osm-token"  # noqa: S105 (a header's name, not a secret)
_READS = frozenset({"GET", "HEAD"})
_WRITES = ("/api/v1/apply", "/api/v1/delete", "/api/v1/shutdown")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class BodyTooLarge(Exception):
    """More bytes came than the access allows."""


class Guard:
    """ASGI middleware that refuses what may not pass, and hides how something failed inside."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._log = logging.getLogger("osm.dashboard")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return  # Nothing is served over WebSockets, so nothing needs to be checked on them.
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = refuse(self._access, scope["method"], scope["path"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, _limited(receive, self._access.body_limit), guarded_send)
        except BodyTooLarge:
            if not started:
                await _too_large(self._access)(scope, receive, guarded_send)
        except Exception:  # noqa: BLE001 (the last stop before people: logged, and not shown)
            self._log.exception("request_failed %s %s", scope["method"], scope["path"])
            if not started:
                answer = trouble(
                    500, "The control plane could not answer.", "Its log has the reason."
                )
                await answer(scope, receive, guarded_send)


def refuse(access: Access, method: str, path: str, headers: Headers) -> Response | None:
    """The answer to a request that may not pass, or None when it may."""
    if isinstance(access, LoopbackAccess):
        refusal = _refuse_browser(access, method, path, headers)
        if refusal is not None:
            return refusal
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > access.body_limit:
        return _too_large(access)
    return None


def _refuse_browser(
    access: LoopbackAccess, method: str, path: str, headers: Headers
) -> Response | None:
    host = _single(headers.getlist("host"))
    if not access.is_host(host):
        right = f"Open http://127.0.0.1:{access.port}/" if access.port else "Use 127.0.0.1."
        return trouble(421, "This address is not served here.", right)
    origins = headers.getlist("origin")
    if origins and _single(origins).lower() != f"http://{host.lower()}":
        return trouble(403, "Pages of another origin may not call this one.")
    if not _site_may_call(method, headers):
        return trouble(403, "Other sites may not call this page.")
    if method in _READS:
        return None
    if method != "POST":
        return trouble(405, f"The method {method[:20]} is not served.")
    token = headers.get(TOKEN_HEADER, "")
    if not origins or not hmac.compare_digest(token.encode(), access.token.encode()):
        return trouble(
            403, "This call needs the token of this run.", "Reload the page, or use `osm`."
        )
    if path.startswith(_WRITES) and not access.writes:
        return trouble(
            403, "The page cannot change the mesh.", "Use `osm apply`, `osm delete`, `osm down`."
        )
    return None


def _site_may_call(method: str, headers: Headers) -> bool:
    site = headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin"):
        return True
    # A link on another page may lead here; a script, an image or a frame of it may not.
    return (
        method == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _single(values: Sequence[str]) -> str:
    """The only value of a header; a repeated one is a trick, and is worth nothing."""
    return values[0] if len(values) == 1 else ""


def _too_large(access: Access) -> Response:
    limit = access.body_limit // 1024
    return trouble(413, f"The body is larger than {limit} KiB.", "Send fewer objects at once.")


def _limited(receive: Receive, limit: int) -> Receive:
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge
        return message

    return receive_within_limit
