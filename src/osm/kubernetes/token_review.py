"""Which proxy a ServiceAccount token proves: the API server is asked (TokenReview), and believed.

A token counts when it is for the control plane (its audience), when it has not expired, and when it
is bound to a pod that still exists: whoever takes it out of the pod has it until the pod is gone.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable

import msgspec
import structlog

from osm.core.model.identity import Identity, ProxyIdentity
from osm.kubernetes.api_server import ApiServer, Status, Unreachable
from osm.ports import Unproven

log = structlog.get_logger("osm.kubernetes")

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"

REMEMBERED_S = 5.0
"""How long an answer counts: for the two streams that a proxy opens, and for one that insists."""
REMEMBERED_AT_MOST = 10_000
REVIEW_LIMIT_S = 10.0
REVIEWS_PER_S = 200.0
WAIT_LIMIT_S = 5.0
"""Whoever would wait longer for its turn is told to come back: Envoy does so within 5 s."""

# A signed JWT (RFC 7515 §7.1). The API server takes more, but nothing else names a pod.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SIZE_LIMIT = 16 * 1024

Found = ProxyIdentity | Unproven


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    extra: dict[str, list[str]] = {}


class _Status(msgspec.Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()
    audiences: list[str] = []
    error: str = ""


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class TokenReviewer:
    """Belongs to one event loop. The account of `server` needs `create` on `tokenreviews`."""

    def __init__(
        self,
        server: ApiServer,
        *,
        audience: str,
        trust_domain: str,
        now_s: Callable[[], float] = time.monotonic,
        reviews_per_s: float = REVIEWS_PER_S,
    ) -> None:
        self._server = server
        self._audience = audience
        self._trust_domain = trust_domain
        self._now_s = now_s
        self._pause_s = 1 / reviews_per_s
        self._next_turn_s = 0.0
        self._answers: dict[bytes, tuple[float, Found]] = {}
        """By hash, in the order of their end: tokens themselves are not kept."""
        self._asked: dict[bytes, asyncio.Task[Found]] = {}

    async def review(self, token: str) -> Found:
        """Which proxy has this token. Asks once for all who show the same one at a time."""
        if not token:
            return Unproven(
                "no token", "no ServiceAccount token was shown: is its volume in the pod?"
            )
        if len(token) > _SIZE_LIMIT or _TOKEN.fullmatch(token) is None:
            return Unproven("malformed token", "what was shown is no ServiceAccount token")
        key = hashlib.sha256(token.encode()).digest()
        self._forget()
        if key in self._answers:
            return self._answers[key][1]
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(key, token))
        # One that goes away must not take the answer from the others.
        return await asyncio.shield(self._asked[key])

    async def _ask(self, key: bytes, token: str) -> Found:
        try:
            found = await self._ask_in_turn(token)
        finally:
            del self._asked[key]
        if not isinstance(found, Unproven) or not found.later:
            self._answers[key] = (self._now_s() + REMEMBERED_S, found)
        return found

    async def _ask_in_turn(self, token: str) -> Found:
        now = self._now_s()
        turn = max(self._next_turn_s, now)
        if turn - now > WAIT_LIMIT_S:
            return _later("too many tokens", "too many proxies show tokens at this moment")
        self._next_turn_s = turn + self._pause_s
        await asyncio.sleep(turn - now)
        try:
            async with asyncio.timeout(REVIEW_LIMIT_S):
                return self._read(await self._send(token))
        except (Unreachable, TimeoutError, Status, msgspec.MsgspecError) as error:
            # Without a traceback: one that shows variables would show the token.
            log.warning("the API server reviews no token", error=f"{type(error).__name__}: {error}")
            return _explain(error)

    async def _send(self, token: str) -> _Status:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        answer = await self._server.request("POST", PATH, body=body)
        return msgspec.json.decode(answer, type=_Review).status

    def _read(self, status: _Status) -> Found:
        if not status.authenticated:
            why = status.error[:300] or "it does not say why"
            return Unproven("refused token", f"the API server refuses the token: {why}")
        # An API server that knows no audiences would take a token that is meant for itself.
        if self._audience not in status.audiences:
            return Unproven("other audience", f"the token is not for {self._audience}")
        match status.user.username.split(":"):
            case ["system", "serviceaccount", namespace, account] if namespace and account:
                pass
            case _:
                return Unproven("no account", "the token is of no ServiceAccount")
        match status.user.extra.get(POD_NAME, []), status.user.extra.get(POD_UID, []):
            case [str(pod)], [str(uid)] if pod and uid:
                return ProxyIdentity(Identity(self._trust_domain, namespace, account), pod)
        return Unproven("no pod", "the token is bound to no pod: mount a projected one")

    def _forget(self) -> None:
        now = self._now_s()
        while self._answers:
            key, (until, _) = next(iter(self._answers.items()))
            if until > now and len(self._answers) < REMEMBERED_AT_MOST:
                return
            del self._answers[key]


def _explain(error: Exception) -> Unproven:
    match error:
        case Status(code=403):
            text = "the control plane may not create TokenReviews: compare its ClusterRole"
            return _later("may not review", text)
        case Status():
            text = f"the API server reviews no token: {error.reason}"
        case msgspec.MsgspecError():
            text = "the API server's answer to a TokenReview cannot be read"
        case _:
            text = "the API server does not answer: no token can be checked"
    return _later("no API server", text)


def _later(reason: str, text: str) -> Unproven:
    return Unproven(reason, text, later=True)
