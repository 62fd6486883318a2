"""How the replica that leads writes: one field manager, and what to do when a write is refused."""

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from osm.errors import ConfigError
from osm.kit.work_queue import Again
from osm.kubernetes.api_server import APPLY, JSON, Status, Unreachable

log = structlog.get_logger("osm.kubernetes")

FIELD_MANAGER = "osm-controller"
CONFLICT = 409
NOT_FOUND = 404
FORBIDDEN_PAUSE_S = 30.0
"""Rights that are missing come by a person's hand."""


class Write(Protocol):
    """Sends a request that changes something: `ApiServer.request`, or that behind a fence."""

    def __call__(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> Coroutine[Any, Any, bytes]: ...


class NotLeading(Exception):
    """The time in which this replica may write is over."""

    def __init__(self) -> None:
        super().__init__("this replica does not lead any more")


FAILURES = (Status, Unreachable, NotLeading, TimeoutError, msgspec.MsgspecError, ConfigError)
"""What a write, or the reading of its answer, may raise."""


async def server_side_apply(write: Write, path: str, document: Mapping[str, object]) -> bytes:
    """Make the fields of `document` ours, whoever had them, and leave the others alone."""
    parameters = {"fieldManager": FIELD_MANAGER, "force": "true"}
    return await write("PATCH", path, parameters, document, APPLY)


def again_after(error: Exception, what: str) -> Again:
    """When to try again what was refused. Says it in the log, but for what is expected."""
    match error:
        case Status(code=409):
            return Again()
        case Status(code=403):
            log.warning(
                "a write is forbidden: compare the ClusterRole", what=what, error=str(error)
            )
            return Again(FORBIDDEN_PAUSE_S)
        case Status():
            log.warning("a write was refused", what=what, error=str(error))
            return Again(error.retry_after_s)
        case NotLeading():
            return Again()
        case _:
            log.debug("a write failed", what=what, error=f"{type(error).__name__}: {error}")
            return Again()
