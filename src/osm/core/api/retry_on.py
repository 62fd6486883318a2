"""When a request is retried: the conditions of Envoy's `x-envoy-retry-on` and `…-grpc-on`."""

import difflib
from typing import Annotated

from osm.core.api import codes
from osm.core.api.limits import clipped
from osm.core.api.problem import Complaint
from osm.core.api.scalars import checked

HTTP_CONDITIONS = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
)
GRPC_CONDITIONS = (
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)
WITHOUT_LIST = ("retriable-status-codes", "retriable-headers")
"""These need a list of statuses or headers, which a Retry cannot give."""
_KNOWN = HTTP_CONDITIONS + GRPC_CONDITIONS


def conditions(written: str) -> tuple[str, ...]:
    """The conditions of a `retryOn`, in the order written."""
    return tuple(part.strip() for part in written.split(",") if part.strip())


def check_retry_on(value: object) -> Complaint | None:
    """Complain about conditions that Envoy does not know: it would pass over them in silence."""
    text = str(value)
    if len(text) > 1024 or not conditions(text):
        return Complaint(
            codes.EMPTY if len(text) <= 1024 else codes.TOO_LONG,
            f"{clipped(text)} names no condition",
            "For instance `5xx,connect-failure`.",
        )
    for each in conditions(text):
        if each not in _KNOWN:
            nearest = difflib.get_close_matches(each.lower(), _KNOWN, 1, 0.6)
            return Complaint(
                codes.NOT_ALLOWED,
                f"{clipped(each)} is no condition for a retry",
                f"Did you mean {nearest[0]}?" if nearest else f"There are: {', '.join(_KNOWN)}.",
            )
    return None


RetryOn = Annotated[str, checked(check_retry_on)]
