"""Results of `osm verify`, and OSM's way to print them."""

from collections.abc import Iterator, Sequence

import msgspec

SUCCESS, FAILURE, UNKNOWN = "Success", "Failure", "Unknown"
_RULE = "-" * 45
_STEP_FAILED = "A verification step failed"
_SEE_STEPS = "Follow the suggestions of the steps below that failed"


class Verified(msgspec.Struct, frozen=True):
    """What was looked at, and what came of it. `steps` are the parts that it was made of."""

    context: str
    status: str
    reason: str = ""
    suggestion: str = ""
    steps: tuple["Verified", ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.status == SUCCESS


def verified(context: str, problem: str = "", suggestion: str = "") -> Verified:
    """A step: it succeeded when there is no problem."""
    return Verified(context, FAILURE if problem else SUCCESS, problem, suggestion)


def unknown(context: str, reason: str, suggestion: str = "") -> Verified:
    """A step that nobody could look at."""
    return Verified(context, UNKNOWN, reason, suggestion)


def together(context: str, steps: Sequence[Verified]) -> Verified:
    """What several steps come to: a failure if one failed, unknown if one is."""
    statuses = {step.status for step in steps}
    if statuses <= {SUCCESS}:
        return Verified(context, SUCCESS, steps=tuple(steps))
    status = FAILURE if FAILURE in statuses else UNKNOWN
    return Verified(context, status, _STEP_FAILED, _SEE_STEPS, tuple(steps))


def result_lines(result: Verified, depth: int = 1) -> Iterator[str]:
    """OSM's layout: rules of dashes, and a `+` more for each level. Steps only where one failed."""
    if depth == 1:
        yield _RULE
    yield f"[{'+' * depth}] Context: {result.context}"
    yield f"Status: {result.status}"
    if result.reason:
        yield f"Reason: {result.reason}"
    if result.suggestion:
        yield f"Suggestion: {result.suggestion}"
    yield ""
    yield _RULE
    if not result.succeeded:
        for step in result.steps:
            yield from result_lines(step, depth + 1)
