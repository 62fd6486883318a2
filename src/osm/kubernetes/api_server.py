"""Requests to an API server: kubeconfig, in-cluster and exec logins are lightkube's."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError as LightkubeConfigError

from osm.errors import ConfigError

REQUEST_LIMIT_S = 30.0
JSON = "application/json"


class Status(Exception):
    """An API server refused: its status code, reason, and how long it asks to wait in seconds."""

    def __init__(self, code: int, reason: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s


class Unreachable(Exception):
    """No answer, or half of one."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")


class _StatusBody(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


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
        try:
            config = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
            chosen = config.get(context_name=context)
        except (LightkubeConfigError, OSError, KeyError) as error:
            raise ConfigError(
                f"there is no way to a cluster: {error}",
                hint="Set KUBECONFIG, or name a context of it with --context.",
            ) from error
        if chosen is None:
            raise ConfigError("the kubeconfig has no current context", hint="Name one: --context.")
        parameters = ConnectionParams(timeout=httpx2.Timeout(REQUEST_LIMIT_S))
        return cls(AsyncClient(chosen, parameters), chosen.namespace)

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
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise Unreachable(error) from error
        if answer.is_error:
            raise _status(answer.status_code, answer.content, answer.headers)
        return answer.content

    @asynccontextmanager
    async def watch(self, path: str, **parameters: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch, each an event. Raises `Status` and `Unreachable`."""
        try:
            async with self._client.stream(
                "GET",
                path,
                params={"watch": "true", **parameters},
                # How long nothing may be said, whoever watches knows.
                timeout=httpx2.Timeout(REQUEST_LIMIT_S, read=None),
            ) as answer:
                if answer.is_error:
                    body = await answer.aread()
                    raise _status(answer.status_code, body, answer.headers)
                yield _lines(answer)
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
    return Status(code, said.reason, said.message, wait)
