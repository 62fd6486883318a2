"""AdmissionReview, version v1: what an API server asks of a webhook, and how it wants its answer.

What is answered is decided elsewhere (`osm.runtime.admission`). Nobody vouches for what is asked, for the
port is open to all of the cluster: what cannot be read is refused, and an answer opens nothing that
the API server has not asked for.
"""

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Literal

import msgspec
import structlog

from osm.core.inject.patch import Operation
from osm.kubernetes.webhook_connection import Answer, Unreadable

log = structlog.get_logger("osm.webhook")

API_VERSION = "admission.k8s.io/v1"
LONGEST_MESSAGE = 4000
_LONGEST_WARNING = 256
_MOST_WARNINGS = 12
"""API servers cut longer warnings, and all of them beyond 4096 bytes."""

Text = Annotated[str, msgspec.Meta(max_length=512)]
Uid = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")]
"""API servers send UUIDs; it must serve as a label's value."""


class GroupVersionKind(msgspec.Struct, frozen=True):
    """What an object is."""

    group: Text
    version: Text
    kind: Text


class AdmissionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """One object that somebody wants to create, change or delete."""

    uid: Uid
    kind: GroupVersionKind
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    name: Text = ""
    namespace: Text = ""
    sub_resource: Text = ""
    new: Mapping[str, object] | None = msgspec.field(name="object", default=None)
    """Absent for DELETE."""
    old: Mapping[str, object] | None = msgspec.field(name="oldObject", default=None)
    dry_run: bool | None = None


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: AdmissionRequest


class Allowed(msgspec.Struct, frozen=True):
    """It may be, changed by a patch."""

    patch: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()


class Denied(msgspec.Struct, frozen=True):
    """It may not be. The message is for whoever asked the API server."""

    message: str
    code: int = 403
    reason: str = "Forbidden"
    warnings: tuple[str, ...] = ()


Decision = Allowed | Denied
Decide = Callable[[AdmissionRequest], Awaitable[Decision]]


def bad_request(message: str) -> Denied:
    """The request can be read, and makes no sense."""
    return Denied(message, 400, "BadRequest")


def reviewing(decide: Decide) -> Answer:
    """From reviews to their answers, as `serve_webhook` wants it."""

    async def answer(body: bytes) -> bytes:
        request = read_review(body)
        try:
            decision = await decide(request)
            return _written(request.uid, decision)
        except Exception:  # closed, and with a message that people see
            log.exception(
                "an object was not admitted",
                kind=request.kind.kind,
                namespace=request.namespace,
                name=request.name,
            )
            mistake = Denied(
                "the mesh made a mistake when it looked at this object; the log of osm-controller "
                "has more",
                500,
                "InternalError",
            )
            return _written(request.uid, mistake)

    return answer


def read_review(body: bytes) -> AdmissionRequest:
    """The request in a review. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(body, type=_Review).request
    except RecursionError:
        raise Unreadable("this is nested too deep") from None
    except (msgspec.MsgspecError, ValueError) as error:
        said = one_line(str(error))[:_LONGEST_WARNING]
        raise Unreadable(f"this is no AdmissionReview of {API_VERSION}: {said}") from None


def _written(uid: str, decision: Decision) -> bytes:
    response: dict[str, object] = {"uid": uid, "allowed": isinstance(decision, Allowed)}
    if isinstance(decision, Denied):
        response["status"] = {
            "status": "Failure",
            "code": decision.code,
            "message": _clipped(decision.message, LONGEST_MESSAGE),
            "reason": decision.reason,
        }
    elif decision.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(msgspec.json.encode(decision.patch)).decode()
    if decision.warnings:
        response["warnings"] = list(warning_lines(decision.warnings))
    review = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return msgspec.json.encode(review)


def warning_lines(warnings: Iterable[str]) -> Iterable[str]:
    """Warnings as API servers hand them on: headers of HTTP, short and few."""
    lines = list(dict.fromkeys(_clipped(one_line(each), _LONGEST_WARNING) for each in warnings))
    yield from lines[:_MOST_WARNINGS]
    if len(lines) > _MOST_WARNINGS:
        yield f"and {len(lines) - _MOST_WARNINGS} more; `osm validate` shows all"


def one_line(text: str) -> str:
    """Without line breaks and what else cannot be printed."""
    return "".join(each if each.isprintable() else " " for each in text)


def _clipped(text: str, at_most: int) -> str:
    return text if len(text) <= at_most else f"{text[: at_most - 1]}…"
