"""Requests to an API server: kubeconfig, in-cluster and exec logins are lightkube's."""

import base64
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
from httpx2.websockets import AsyncWebSocketSession
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from osm.errors import ConfigError
from osm.kubernetes.kubeconfig import choose_cluster

REQUEST_LIMIT_S = 30.0
SWITCHING = 101
JSON = "application/json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
PING_S = 20.0
"""So that nobody on the way takes a silent WebSocket for a dead one."""
MESSAGE_LIMIT = 1024 * 1024


class Cause(msgspec.Struct, frozen=True):
    """One of the things that are wrong with a request: what, and in which field."""

    message: str = ""
    field: str = ""


class Status(Exception):
    """An API server refused: its status code, reason, and how long it asks to wait in seconds."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        retry_after_s: float = 0.0,
        causes: tuple[Cause, ...] = (),
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        self.causes = causes


class Unreachable(Exception):
    """No answer, or half of one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.refused = isinstance(error, httpx2.ConnectError)
        """Nobody took the connection: whoever does next has started since."""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[Cause, ...] = ()


class _StatusBody(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    details: _Details | None = None


class ApiServer:
    """One cluster's API. Belongs to one event loop; `close` it."""

    def __init__(self, client: httpx2.AsyncClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        """The context's own namespace."""

    @classmethod
    def open(cls, kubeconfig: Path | None = None, context: str | None = None) -> "ApiServer":
        """Connect as kubectl does: `kubeconfig`, else $KUBECONFIG, else the user's, else in a pod.

        Raises `ConfigError`.
        """
        chosen = choose_cluster(kubeconfig, context)
        parameters = ConnectionParams(timeout=httpx2.Timeout(REQUEST_LIMIT_S))
        try:
            client = AsyncClient(chosen, parameters)
        except (LightkubeConfigError, OSError, ValueError, AssertionError) as error:
            raise ConfigError(
                f"The kubeconfig's context {chosen.context_name} cannot be used: {error}.",
                hint="Does kubectl work with it?",
            ) from error
        return cls(client, chosen.namespace)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **parameters: str) -> bytes:
        """The body of an answer. Raises `Status` and `Unreachable`."""
        return await self.request("GET", path, parameters)

    async def request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> bytes:
        """Send anything. Raises `Status` and `Unreachable`."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"content-type": content_type} if content else {}
        try:
            answer = await self._client.request(
                method, path, params=dict(parameters or {}), content=content, headers=headers
            )
        except LightkubeConfigError as error:
            raise ConfigError(f"The kubeconfig's way to log in fails: {error}") from error
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise Unreachable(error) from error
        if answer.is_error:
            raise _status(answer.status_code, answer.content, answer.headers)
        return answer.content

    @asynccontextmanager
    async def watch(self, path: str, **parameters: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch, each an event. Raises `Status` and `Unreachable`."""
        async with self.lines(path, watch="true", **parameters) as lines:
            yield lines

    @asynccontextmanager
    async def lines(self, path: str, **parameters: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer line by line, while it comes. Raises `Status` and `Unreachable`."""
        try:
            async with self._client.stream(
                "GET",
                path,
                params=parameters,
                # How long nothing may be said, whoever listens knows.
                timeout=httpx2.Timeout(REQUEST_LIMIT_S, read=None),
            ) as answer:
                if answer.is_error:
                    body = await answer.aread()
                    raise _status(answer.status_code, body, answer.headers)
                yield _lines(answer)
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise Unreachable(error) from error

    @asynccontextmanager
    async def websocket(
        self, path: str, protocol: str, **parameters: str
    ) -> AsyncIterator[AsyncWebSocketSession]:
        """A WebSocket (RFC 6455). Raises `Status` and `Unreachable` until it is open; what is raised
        while it is comes out in a group.
        """
        headers = {
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": base64.b64encode(secrets.token_bytes(16)).decode(),
            "sec-websocket-version": "13",
            "sec-websocket-protocol": protocol,
        }
        try:
            # The library's own way would not tell what a server said that refused.
            async with self._client.stream(
                "GET", path, params=parameters, headers=headers
            ) as answer:
                if answer.status_code != SWITCHING:
                    body = await answer.aread()
                    raise _status(answer.status_code, body, answer.headers)
                async with AsyncWebSocketSession(
                    answer.extensions["network_stream"],
                    max_message_size_bytes=MESSAGE_LIMIT,
                    keepalive_ping_interval_seconds=PING_S,
                    keepalive_ping_timeout_seconds=None,
                    response=answer,
                ) as session:
                    yield session
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise Unreachable(error) from error


async def _lines(answer: httpx2.Response) -> AsyncIterator[bytes]:
    """By hand: the library's own splits text, and at more characters than line breaks."""
    rest = b""
    async for chunk in answer.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _status(code: int, body: bytes, headers: Mapping[str, str]) -> Status:
    try:
        said = msgspec.json.decode(body, type=_StatusBody)
    except msgspec.MsgspecError:
        said = _StatusBody(message=body[:200].decode(errors="replace"))
    try:
        wait = float(headers.get("retry-after", "0"))
    except ValueError:
        wait = 0.0
    causes = said.details.causes if said.details else ()
    return Status(code, said.reason, said.message, wait, causes)
