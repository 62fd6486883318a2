"""Why a match does not fit a request: which part of it, and what it would take."""

from collections.abc import Callable, Iterator

from osm.core.model.request import Request
from osm.core.model.route import HttpMatch, ValueMatch

Fits = Callable[[HttpMatch, Request], bool]
"""`fits` for access rules, `route_fits` for routes: they look at repeated headers differently."""

_KINDS = {"exact": "is", "prefix": "begins with", "regex": "fits the regex"}
_LONGEST = 120


def misfits(match: HttpMatch, request: Request, fits: Fits) -> Iterator[str]:
    """Each part that does not fit."""
    if not fits(HttpMatch(methods=match.methods), request):
        yield f"the method {request.method} is none of {', '.join(match.methods)}"
    if match.path is not None and not fits(HttpMatch(path=match.path), request):
        wanted = f"{_KINDS[match.path.kind]} {_shown(match.path.value)}"
        yield f"the path {_shown(request.path)} is not one that {wanted}"
    for header in match.headers:
        if not fits(HttpMatch(headers=(header,)), request):
            yield _of_value("header", header, request.header(header.name))
    for parameter in match.query:
        if not fits(HttpMatch(query=(parameter,)), request):
            sent = dict(reversed(request.query)).get(parameter.name)
            yield _of_value("query parameter", parameter, sent)


def _of_value(what: str, match: ValueMatch, sent: str | None) -> str:
    name = "host" if match.name == ":authority" else match.name
    wanted = f"a value that {_KINDS[match.kind]} {_shown(match.value)}"
    if sent is None:
        return f"the {what} {name} is missing; it needs {wanted}"
    return f"the {what} {name} is {_shown(sent)}, and needs {wanted}"


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
