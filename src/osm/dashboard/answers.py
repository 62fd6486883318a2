"""JSON answers: values, and errors for people."""

import msgspec
from starlette.responses import Response

from osm.errors import InvalidObjects, OsmError, UsageError


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a failed call answers. `exit_code` is what a command that made the call exits with."""

    message: str
    hint: str = ""
    exit_code: int = 1
    findings: tuple[object, ...] = ()


def json_answer(value: object, status: int = 200) -> Response:
    """Turn a value into a JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def trouble(status: int, message: str, hint: str = "") -> Response:
    """Answer with what is wrong and what to do about it."""
    return json_answer(Trouble(message=message, hint=hint), status)


def error_answer(error: OsmError) -> Response:
    """Answer with an error's own words: 422 for objects that are wrong, 404 for wrong names, else 400."""
    findings: tuple[object, ...] = ()
    status = 400
    if isinstance(error, InvalidObjects):
        status, findings = 422, error.findings
    elif isinstance(error, UsageError):
        status = 404
    value = Trouble(
        message=error.message, hint=error.hint, exit_code=error.exit_code, findings=findings
    )
    return json_answer(value, status)
