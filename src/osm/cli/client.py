"""A running mesh, spoken to over HTTP on its unix socket (the API of `osm.dashboard`)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from osm.cli.command import invocation
from osm.cli.find_mesh import find_mesh, is_on_cluster
from osm.core.api.manifest import Key
from osm.core.explain.explanation import Explanation, Question
from osm.core.explain.refusal import Refusal
from osm.core.explain.view import MeshView
from osm.core.model.origin import Finding
from osm.errors import ConfigError, InvalidObjects, NotRunningError, OsmError, UsageError
from osm.ports import AppliedObject, ExpectedResource, LogLine

_Answer = TypeVar("_Answer")
_PREFIX = "/api/v1"
_TIMEOUT_S = 30.0
_ELSEWHERE = "No mesh runs on this machine either: `osm demo` starts one."


class ObjectAnswer(msgspec.Struct, frozen=True):
    """An object as it was written, and where."""

    key: Key
    raw: dict[str, Any]
    where: str = ""


class _Objects(msgspec.Struct, frozen=True):
    items: tuple[ObjectAnswer, ...]


class _Results(msgspec.Struct, frozen=True):
    results: tuple[AppliedObject, ...]


class _Expected(msgspec.Struct, frozen=True):
    items: tuple[ExpectedResource, ...]


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Refusal(msgspec.Struct, frozen=True):
    message: str = ""
    hint: str = ""
    exit_code: int = 1
    findings: tuple[Finding, ...] = ()


def connect(name: str | None) -> "MeshClient":
    """Find a running mesh, the named one or the only one: on this machine, or on a cluster.

    Use the client as a context manager.
    """
    told = invocation()
    if is_on_cluster(name, told):
        from osm.cli.cluster_client import connect_to_cluster  # noqa: PLC0415 - slow, and an extra

        try:
            return connect_to_cluster(name, told)
        except OsmError as error:
            if not told.names_cluster:
                error.hint = f"{error.hint}\n{_ELSEWHERE}".lstrip()
            raise
    mesh, path = find_mesh(name)
    return MeshClient(path, mesh)


class MeshClient:
    """A connection to one running mesh."""

    on_cluster = False
    place = "on this machine"
    """Where its control plane runs, in words that fit after "running"."""

    def __init__(self, path: Path, mesh: str) -> None:
        self.mesh = mesh
        self._path = path
        self._http = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(path)),
            base_url="http://localhost",
            timeout=_TIMEOUT_S,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def view(self) -> MeshView:
        """Return everything at this moment."""
        return self._get("/view", MeshView)

    def objects(self, *, kind: str = "", namespace: str = "") -> tuple[ObjectAnswer, ...]:
        """Return the objects of a kind and namespace (of all if empty), sorted by their keys."""
        asked = {"kind": kind, "namespace": namespace}
        answer = self._get(
            "/objects", _Objects, {key: value for key, value in asked.items() if value}
        )
        return tuple(sorted(answer.items, key=lambda item: item.key))

    def apply(self, text: str, *, dry_run: bool = False) -> tuple[AppliedObject, ...]:
        """Create and change what the YAML says, or raise `InvalidObjects` and change nothing."""
        content = self._request(
            "POST",
            "/apply",
            parameters={"dryRun": "true"} if dry_run else {},
            content=text.encode(),
            content_type="application/yaml",
        )
        return self._decode(content, _Results).results

    def delete(self, keys: Sequence[Key]) -> tuple[AppliedObject, ...]:
        """Delete objects. Raises `UsageError` if one does not exist."""
        body = msgspec.json.encode({"keys": list(keys)})
        return self._decode(self._request("POST", "/delete", content=body), _Results).results

    def explain(self, question: Question) -> Explanation:
        """Ask whether a request may pass, where it goes, and why."""
        body = msgspec.json.encode(question)
        return self._decode(self._request("POST", "/explain", content=body), Explanation)

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        """Ask why something was refused, and whether it would be now."""
        body = msgspec.json.encode(refusal)
        return self._decode(self._request("POST", "/explain/refusal", content=body), Explanation)

    def proxy_admin(self, namespace: str, name: str, query: str) -> bytes:
        """Return what a proxy's admin interface answers to GET `/query`."""
        path, _, parameters = query.partition("?")
        address = f"/proxies/{quote(namespace)}/{quote(name)}/envoy/{quote(path)}"
        if parameters:
            address += "?" + quote(parameters, safe="=&%+")
        return self._request("GET", address)

    def proxy_expected(self, namespace: str, name: str) -> tuple[ExpectedResource, ...]:
        """Return what a proxy should run: the present form of what it holds."""
        return self._get(f"/proxies/{quote(namespace)}/{quote(name)}/expected", _Expected).items

    def logs(self, workload: str, *, tail: int, follow: bool) -> Iterator[LogLine]:
        """Give the last lines that a workload and its proxy printed, and then each new one."""
        parameters = {
            "workload": workload,
            "tail": str(tail),
            "follow": "true" if follow else "false",
        }
        try:
            with self._http.stream(
                "GET",
                _PREFIX + "/logs",
                params=parameters,
                timeout=httpx2.Timeout(_TIMEOUT_S, read=None),
            ) as response:
                if response.status_code >= 400:
                    response.read()
                    raise self._refused(response.status_code, response.content)
                for line in response.iter_lines():
                    if line.strip():
                        yield self._decode(line.encode(), LogLine)
        except httpx2.TransportError as error:
            raise self._gone(error) from error

    def shutdown(self) -> None:
        """Ask the mesh to stop. It may be gone before it has answered."""
        try:
            self._request("POST", "/shutdown")
        except NotRunningError:
            return

    def version(self) -> str:
        """Return the version of the mesh's control plane."""
        return self._get("/version", _Version).version

    def _get(
        self, path: str, answer: type[_Answer], parameters: dict[str, str] | None = None
    ) -> _Answer:
        return self._decode(self._request("GET", path, parameters=parameters), answer)

    def _request(
        self,
        method: str,
        path: str,
        *,
        parameters: dict[str, str] | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        try:
            response = self._http.request(
                method,
                _PREFIX + path,
                params=parameters or None,
                content=content,
                headers={} if content is None else {"content-type": content_type},
            )
        except httpx2.TransportError as error:
            raise self._gone(error) from error
        if response.status_code >= 400:
            raise self._refused(response.status_code, response.content)
        return response.content

    def _gone(self, error: httpx2.TransportError) -> OsmError:
        if isinstance(error, httpx2.ReadTimeout):
            return OsmError(
                f"Mesh {self.mesh} did not answer within {_TIMEOUT_S:.0f} seconds.",
                hint="Is the machine busy? `osm down` stops the mesh.",
            )
        return NotRunningError(
            f"Mesh {self.mesh} does not answer any more.", hint=f"Its socket is {self._path}."
        )

    def _refused(self, status: int, content: bytes) -> OsmError:
        try:
            refusal = msgspec.json.decode(content, type=_Refusal)
        except (msgspec.DecodeError, msgspec.ValidationError):
            text = content[:500].decode(errors="replace").strip()
            return OsmError(f"Mesh {self.mesh} answered {status}: {text or 'nothing more'}.")
        if status == 422:
            return InvalidObjects(refusal.message, refusal.findings)
        if refusal.exit_code == UsageError.exit_code:
            return UsageError(refusal.message, hint=refusal.hint)
        if status < 500:
            return ConfigError(refusal.message, hint=refusal.hint)
        return OsmError(refusal.message, hint=refusal.hint)

    def _decode(self, content: bytes, answer: type[_Answer]) -> _Answer:
        try:
            return msgspec.json.decode(content, type=answer)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise OsmError(
                f"Mesh {self.mesh} answered something else than this osm expects: {error}.",
                hint="Is it of another version? Compare with `osm version`.",
            ) from error
