"""What an API server says, in words for the person who typed a command."""

import pytest

from osm.kubernetes.api_server import Status, Unreachable
from osm.kubernetes.failure import explain


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (Status(401, "Unauthorized", ""), "does not accept your login", "kubectl auth whoami"),
        (
            Status(403, "Forbidden", 'pods is forbidden: User "x" cannot list'),
            'You may not do this: pods is forbidden: User "x" cannot list',
            "osm check --pre",
        ),
        (Status(404, "NotFound", "no such thing"), "does not have it: no such thing", ""),
        (
            Status(503, "ServiceUnavailable", ""),
            "cannot answer now: ServiceUnavailable",
            "Try again",
        ),
        (Status(422, "Invalid", "spec.x: required"), "refuses it: spec.x: required", ""),
        (
            Unreachable(OSError("no route to host")),
            "does not answer: OSError: no route",
            "Is it running?",
        ),
    ],
)
def test_it_says_what_is_wrong_and_what_to_do(
    error: Status | Unreachable, message: str, hint: str
) -> None:
    explained = explain(error, "Service a/b")
    assert explained.message.startswith("Service a/b: ")
    assert message in explained.message
    assert hint in explained.hint
    assert not explain(error).message.startswith("Service")
