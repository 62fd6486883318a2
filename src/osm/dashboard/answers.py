"""JSON answers: values, and errors for people."""

import msgspec
from starlette.responses import Response

from osm.errors import InvalidObjects, OsmError


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
    """Answer with an error's own words: 422 and findings for objects that are wrong, else 400."""
    wrong = isinstance(error, InvalidObjects)
    value = Trouble(
        message=error.message,
        hint=error.hint,
        exit_code=error.exit_code,
        findings=error.findings if isinstance(error, InvalidObjects) else (),
    )
    return json_answer(value, 422 if wrong else 400)
