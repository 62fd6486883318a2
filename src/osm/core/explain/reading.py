"""What proxies make of a request before any rule looks at it."""

from collections.abc import Iterator

import msgspec

from osm.core.explain.explanation import AUTHORITY, Question, Step
from osm.core.model.request import (
    Request,
    has_escaped_slash,
    is_refused_target,
    normalise_path,
    split_target,
)


class EarlyAnswer(msgspec.Struct, frozen=True):
    """A proxy answers such a request itself, whatever the rules are."""

    verdict: str
    text: str


def read_request(question: Question) -> Request | EarlyAnswer:
    """The request as rules see it."""
    path, query = split_target(question.path or "/")
    if is_refused_target(question.path or "/"):
        return EarlyAnswer("refused", "a path that no URL can have is answered with 400")
    if has_escaped_slash(path):
        text = "a path with an escaped slash is redirected (307) to the plain path, which is what counts"
        return EarlyAnswer("redirected", text)
    headers = ((name.lower(), value) for name, value in question.headers)
    return Request(
        method=(question.method or "GET").upper(),
        path=normalise_path(path),
        authority=question.authority,
        headers=tuple(pair for pair in headers if pair[0] not in AUTHORITY),
        query=query,
    )


def path_steps(question: Question, request: Request) -> Iterator[Step]:
    """That rules see another path than the one that was written."""
    written = split_target(question.path or "/")[0]
    if request.path != written:
        yield Step("path", "info", f"normalised to {request.path}, which is what rules look at")
