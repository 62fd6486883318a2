"""A `MeshApi` without a mesh: a bookstore that lives in memory, for tests of what shows a mesh."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import msgspec
import yaml

from osm.core.api.manifest import Key, Manifest
from osm.core.explain.explanation import Explanation, Question, Step
from osm.core.explain.refusal import Refusal
from osm.core.explain.view import MeshView, ObjectView
from osm.core.model.origin import Finding, Origin, Severity
from osm.errors import InvalidObjects, PlatformError, UsageError
from osm.ports import AppliedObject, ExpectedResource, LogLine
from osm.testing import proxy_dump
from osm.testing.bookstore_proxies import expected_resources, running_resources
from osm.testing.bookstore_view import DENY_REASON, REMEDY, bookstore_view


class FakeMeshApi:
    """Implements `osm.ports.MeshApi`: `clock` (seconds) moves the view, `change` edits it.

    `calls` lists what was asked that a real mesh would act on.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        started: datetime | None = None,
        change: Callable[[MeshView], MeshView] = lambda view: view,
    ) -> None:
        self.change = change
        self.running: Callable[[str], Sequence[ExpectedResource]] = running_resources
        """What the proxy of a workload runs."""
        self.calls: list[str] = []
        self.page = ""
        self._clock = clock
        self._started = started or datetime.now(UTC)
        self._started_at = clock()
        written = (_manifest(item) for item in self.view().objects)
        self._objects = {manifest.key: manifest for manifest in written}

    def view(self) -> MeshView:
        elapsed_s = self._clock() - self._started_at
        return self.change(bookstore_view(elapsed_s, self._started, page=self.page))

    def findings(self) -> Sequence[Finding]:
        return self.view().findings

    def objects(self) -> Sequence[Manifest]:
        return tuple(self._objects[key] for key in sorted(self._objects))

    async def apply(self, text: str, *, dry_run: bool = False) -> Sequence[AppliedObject]:
        manifests = [_parsed(document, line) for document, line in _documents(text)]
        results = []
        for manifest in manifests:
            old = self._objects.get(manifest.key)
            action = "created"
            if old is not None:
                action = "unchanged" if old.raw == manifest.raw else "configured"
            results.append(AppliedObject(manifest.key, action, manifest.where))
            if not dry_run:
                self._objects[manifest.key] = manifest
        self.calls.append(f"apply {len(results)}{' dry' if dry_run else ''}")
        return tuple(results)

    async def delete(self, keys: Sequence[Key]) -> Sequence[AppliedObject]:
        for key in keys:
            if key not in self._objects:
                raise UsageError(f"{key} does not exist.", hint="See `osm get`.")
        self.calls.append(f"delete {len(keys)}")
        return tuple(AppliedObject(key, "deleted", self._objects.pop(key).where) for key in keys)

    def explain(self, question: Question) -> Explanation:
        view = self.view()
        name = question.source.rsplit("/", 1)[-1]
        if not any(name in (item.name, item.app) for item in view.workloads):
            raise UsageError(f"There is no workload {question.source!r}.", hint="See `osm status`.")
        allowed = name == "bookbuyer"
        target = Origin(
            "TrafficTarget", "bookstore", "bookstore", "spec.rules[0]", "access.smi-spec.io"
        )
        split = Origin("TrafficSplit", "bookstore", "bookstore-split", "", "split.smi-spec.io")
        find = Step(
            "Destination", "ok", f"{question.destination} is the Service bookstore/bookstore."
        )
        route = Step("Route", "ok", "bookstore-v1 gets 50 %, bookstore-v2 gets 50 %.", (split,))
        text = f"TrafficTarget bookstore/bookstore allows {name}." if allowed else f"{DENY_REASON}."
        access = Step("Access", "ok" if allowed else "denied", text, (target,) if allowed else ())
        return Explanation(
            question=question,
            verdict="allowed" if allowed else "denied",
            allowed=allowed,
            summary=text,
            steps=(find, route, access),
            backends=(
                ("bookstore/bookstore-v1:14001", 50.0),
                ("bookstore/bookstore-v2:14001", 50.0),
            ),
            remedy="" if allowed else REMEDY,
            advice=_whole_name(question.destination),
        )

    def explain_refusal(self, refusal: Refusal) -> Explanation:
        namespace, _, name = refusal.destination.partition("/")
        question = Question(
            refusal.source, f"{name}.{namespace}:{refusal.port}", refusal.method, refusal.path
        )
        answer = self.explain(question)
        what = f"{refusal.method} {refusal.path}"
        then = Step("then", "denied", f"{refusal.source} was refused {what}.")
        return msgspec.structs.replace(answer, steps=(then, *answer.steps))

    async def proxy_admin(self, proxy: str, path: str) -> bytes:
        if not any(proxy == f"{item.namespace}/{item.name}" for item in self.view().proxies):
            raise UsageError(f"There is no proxy {proxy!r}.", hint="See `osm proxy list`.")
        running = self.running(proxy.partition("/")[2])
        if path.startswith("config_dump"):
            return proxy_dump.config_dump(running, proxy=proxy)
        if path == "runtime":
            return proxy_dump.runtime(running)
        return f"{proxy} {path}\n".encode()

    def proxy_expected(self, proxy: str) -> Sequence[ExpectedResource]:
        found = [p for p in self.view().proxies if proxy == f"{p.namespace}/{p.name}"]
        if not found:
            raise UsageError(f"There is no proxy {proxy!r}.", hint="See `osm proxy list`.")
        if not found[0].connected:
            raise PlatformError(f"the proxy {proxy} is not connected to the control plane")
        return expected_resources(found[0].name)

    async def logs(self, workload: str, *, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        namespace, _, name = workload.rpartition("/")
        known = [item for item in self.view().workloads if item.name == name]
        if not known:
            raise UsageError(f"There is no workload {workload!r}.", hint="See `osm status`.")
        number = 0
        while number < tail or follow:
            number += 1
            yield LogLine(
                time=self.view().now,
                namespace=namespace or known[0].namespace,
                workload=name,
                container=known[0].app,
                text=f"line {number}",
            )
            if number >= tail:
                await asyncio.sleep(0.2)

    async def shutdown(self) -> None:
        self.calls.append("shutdown")


def _whole_name(destination: str) -> tuple[str, ...]:
    """What to write instead of a short name."""
    host, _, port = destination.partition(":")
    return () if "." in host else (f"Write {host}.{host}:{port}.",)


def _manifest(item: ObjectView) -> Manifest:
    raw = {
        "apiVersion": f"{item.group}/{item.version}".lstrip("/"),
        "kind": item.kind,
        "metadata": {
            "name": item.name,
            "namespace": item.namespace,
            "labels": {"app": item.name},
        },
        "spec": {"note": "A line.\nAnd another.", "weights": [50, 50], "enabled": True},
    }
    key = Key(item.group, item.kind, item.namespace, item.name)
    return Manifest(key, None, raw, item.where)


def _documents(text: str) -> list[tuple[object, int]]:
    documents: list[tuple[object, int]] = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if node is not None:
                line = node.start_mark.line + 1
                documents.append((yaml.safe_load(yaml.serialize(node)), line))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"stdin:{mark.line + 1}" if mark else "stdin"
        raise _invalid("OSM1001", f"not YAML: {getattr(error, 'problem', error)}", place) from error
    return documents


def _parsed(document: object, line: int) -> Manifest:
    place = f"stdin:{line}"
    if not isinstance(document, dict) or "kind" not in document or "metadata" not in document:
        raise _invalid("OSM1002", "an object needs apiVersion, kind and metadata", place)
    metadata = document["metadata"]
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    key = Key(group, document["kind"], metadata.get("namespace", ""), metadata["name"])
    return Manifest(key, None, document, place)


def _invalid(code: str, message: str, where: str) -> InvalidObjects:
    finding = Finding(code, Severity.ERROR, None, message, where=where)
    return InvalidObjects("1 object cannot be used; nothing was changed.", (finding,))
