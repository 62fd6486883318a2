"""Findings of one object to conditions (Kubernetes API conventions, "typical status properties")."""

from collections.abc import Sequence

import msgspec

from osm.core.model.origin import Finding, Severity
from osm.core.status.refused import REFUSED

ACCEPTED = "Accepted"
PROGRAMMED = "Programmed"
TYPES = (ACCEPTED, PROGRAMMED)

MESSAGE_LIMIT = 4096
"""In characters. The API takes 32,768; nobody reads them."""
_BY_PROXIES = frozenset({REFUSED})
_NOT_BUILT = frozenset({"OSM901", "OSM903"})
_AFTERWARDS = _BY_PROXIES | _NOT_BUILT
"""Findings about what became of an object, not about what stands in it."""


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One aspect of an object's state, as `metav1.Condition`."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int = 0
    last_transition_time: str = ""


def conditions_of(findings: Sequence[Finding], *, acts: bool) -> tuple[Condition, ...]:
    """The conditions of an object with these findings. `acts`: the mesh does something with its kind.

    Without generation and time, which belong to an object.
    """
    errors = [each for each in findings if each.severity is Severity.ERROR]
    wrong = [each for each in errors if each.code not in _AFTERWARDS]
    warnings = [each for each in findings if each.severity is Severity.WARNING]
    return _accepted(wrong, warnings), _programmed(errors, bool(wrong), acts=acts)


def _accepted(wrong: Sequence[Finding], warnings: Sequence[Finding]) -> Condition:
    if wrong:
        return Condition(ACCEPTED, "False", "Invalid", message_of([*wrong, *warnings]))
    if warnings:
        return Condition(ACCEPTED, "True", "AcceptedWithWarnings", message_of(warnings))
    return Condition(ACCEPTED, "True", "Accepted", "nothing is wrong with it")


def _programmed(errors: Sequence[Finding], wrong: bool, *, acts: bool) -> Condition:  # noqa: FBT001
    if refused := [each for each in errors if each.code in _BY_PROXIES]:
        return Condition(PROGRAMMED, "False", "RefusedByProxy", message_of(refused))
    if not_built := [each for each in errors if each.code in _NOT_BUILT]:
        return Condition(PROGRAMMED, "False", "NotBuilt", message_of(not_built))
    if wrong:
        text = "what is wrong with it has no effect, see Accepted; the rest has"
        return Condition(PROGRAMMED, "False", "NotAccepted", text)
    if not acts:
        text = "this version of the mesh does nothing with this kind yet"
        return Condition(PROGRAMMED, "False", "NoEffect", text)
    return Condition(PROGRAMMED, "True", "Programmed", "no proxy that is connected refuses it")


def message_of(findings: Sequence[Finding], limit: int = MESSAGE_LIMIT) -> str:
    """Codes, places and texts, a finding per line; whole lines only, unless the first is too long."""
    lines = [_line(finding) for finding in findings]
    for shown in range(len(lines), 0, -1):
        left = len(lines) - shown
        tail = [f"and {left} more: see `osm analyze`"] if left else []
        text = "\n".join([*lines[:shown], *tail])
        if len(text) <= limit:
            return text
    return lines[0][: limit - 1] + "…" if lines else ""


def _line(finding: Finding) -> str:
    place = finding.origin.field if finding.origin else ""
    return (
        f"[{finding.code}] {place}: {finding.message}"
        if place
        else f"[{finding.code}] {finding.message}"
    )
