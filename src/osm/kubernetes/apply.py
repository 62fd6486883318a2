"""Objects of a cluster, written and read as documents: server-side apply, create, patch, delete.

Specs: Kubernetes, "Server-Side Apply" (fields have owners; `force` takes them) and "Garbage
Collection" (`propagationPolicy`). Every call is bounded by `ApiServer`'s own limit.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from osm.errors import PlatformError
from osm.kubernetes.api_server import APPLY, MERGE, ApiServer, Status
from osm.kubernetes.failure import explain
from osm.kubernetes.resources import Ref, Resources, ref_of
from osm.kubernetes.writing import FIELD_MANAGER as CONTROLLER_MANAGER

FIELD_MANAGER = "osm"
_PAGE = "500"

Document = dict[str, Any]
Outcome = Literal["created", "configured", "unchanged"]


class Conflict(PlatformError):
    """Fields that would change belong to somebody else. Nothing was written."""


class Applied(msgspec.Struct, frozen=True):
    """What became of an object: `before` is None when it is new."""

    ref: Ref
    outcome: Outcome
    before: Document | None
    after: Document


class Objects:
    """The objects of one cluster. Belongs to the event loop of its `ApiServer`."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.resources = Resources(server)

    async def get(self, ref: Ref) -> Document | None:
        """An object, or None when there is none."""
        path = await self.resources.path(ref)
        try:
            answer = await self.server.get(path)
        except Status as error:
            if error.code == 404:
                return None
            raise explain(error, str(ref)) from error
        return _decoded(answer)

    async def list(
        self, api_version: str, kind: str, namespace: str = "", **parameters: str
    ) -> list[Document]:
        """All objects of a kind, page by page; `labelSelector` and `fieldSelector` narrow them."""
        path = await self.resources.collection(api_version, kind, namespace)
        found: list[Document] = []
        more = ""
        while True:
            asked = {**parameters, "limit": _PAGE} | ({"continue": more} if more else {})
            try:
                page = _decoded(await self.server.get(path, **asked))
            except Status as error:
                raise explain(error, f"all {kind}") from error
            found += [
                {"apiVersion": api_version, "kind": kind, **item}
                for item in page.get("items") or ()
            ]
            more = page.get("metadata", {}).get("continue", "")
            if not more:
                return found

    async def apply(
        self, document: Document, *, force: bool = False, dry_run: bool = False
    ) -> Applied:
        """Make an object as the document says, and leave what others added.

        Raises `Conflict` when a field has another owner and `force` does not take it.
        """
        ref = ref_of(document)
        before = await self.get(ref)
        try:
            after = await self._server_side_apply(ref, document, force=force, dry_run=dry_run)
        except Status as error:
            if error.code != 409 or not error.causes:
                raise explain(error, str(ref)) from error
            if not all(f'"{CONTROLLER_MANAGER}"' in cause.message for cause in error.causes):
                raise Conflict(_conflicts(ref, error), hint=_WHOSE) from error
            # The control plane keeps some objects as its version wants them; an upgrade is newer.
            after = await self._server_side_apply(ref, document, force=True, dry_run=dry_run)
        return Applied(ref, _outcome(before, after), before, after)

    async def _server_side_apply(
        self, ref: Ref, document: Document, *, force: bool, dry_run: bool
    ) -> Document:
        parameters = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        if dry_run:
            parameters["dryRun"] = "All"
        path = await self.resources.path(ref)
        return _decoded(await self.server.request("PATCH", path, parameters, document, APPLY))

    async def own(self, ref: Ref, fields: Document, manager: str) -> None:
        """Make fields of an object belong to a field manager, whoever else has them."""
        name = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}
        parameters = {"fieldManager": manager, "force": "true"}
        path = await self.resources.path(ref)
        try:
            await self.server.request("PATCH", path, parameters, name | fields, APPLY)
        except Status as error:
            raise explain(error, str(ref)) from error

    async def create(self, document: Document) -> bool:
        """Create an object; False when it is there already."""
        ref = ref_of(document)
        path = await self.resources.collection(ref.api_version, ref.kind, ref.namespace)
        try:
            await self.server.request("POST", path, {"fieldManager": FIELD_MANAGER}, document)
        except Status as error:
            if error.code == 409 and error.reason == "AlreadyExists":
                return False
            raise explain(error, str(ref)) from error
        return True

    async def try_to_create(self, document: Document) -> Document:
        """What creating an object would come to, by the API server and its webhooks (dry run)."""
        ref = Ref(document["apiVersion"], document["kind"], "", document["metadata"]["namespace"])
        path = await self.resources.collection(ref.api_version, ref.kind, ref.namespace)
        try:
            return _decoded(await self.server.request("POST", path, {"dryRun": "All"}, document))
        except Status as error:
            raise explain(error) from error

    async def merge(self, ref: Ref, patch: Mapping[str, Any], *, dry_run: bool = False) -> bool:
        """Change some fields, or with None remove them; False when there is no such object."""
        path = await self.resources.path(ref)
        parameters = {"fieldManager": FIELD_MANAGER}
        if dry_run:
            parameters["dryRun"] = "All"
        try:
            await self.server.request("PATCH", path, parameters, patch, content_type=MERGE)
        except Status as error:
            if error.code == 404:
                return False
            raise explain(error, str(ref)) from error
        return True

    async def delete(self, ref: Ref, *, uid: str = "", propagation: str = "Background") -> bool:
        """Delete an object (with `uid`: that one alone); False when there was none."""
        options: Document = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        path = await self.resources.path(ref)
        try:
            await self.server.request("DELETE", path, body=options)
        except Status as error:
            if error.code == 404 or (uid and error.code == 409):
                return False
            raise explain(error, str(ref)) from error
        return True


def is_same(before: Document, after: Document) -> bool:
    """Whether two forms of an object say the same, whoever said it."""
    return bare(before) == bare(after)


def bare(document: Document) -> Document:
    """What people mean by an object: without what the API server keeps of it, and its status."""
    kept = {
        "resourceVersion",
        "generation",
        "managedFields",
        "uid",
        "creationTimestamp",
        "selfLink",
    }
    metadata = {key: value for key, value in document["metadata"].items() if key not in kept}
    return {key: value for key, value in document.items() if key != "status"} | {
        "metadata": metadata
    }


_WHOSE = (
    "Somebody changed it by other means. Undo that, or take these fields over with "
    "--force-conflicts."
)


def _outcome(before: Document | None, after: Document) -> Outcome:
    if before is None:
        return "created"
    return "unchanged" if is_same(before, after) else "configured"


def _conflicts(ref: Ref, error: Status) -> str:
    lines = [f"{ref} has fields that belong to others:"]
    lines += [f"  {cause.field}: {cause.message}" for cause in error.causes]
    return "\n".join(lines)


def _decoded(answer: bytes) -> Document:
    found: Document = json.loads(answer)
    return found
