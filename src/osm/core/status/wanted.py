"""The status that an object should have, from what is wrong with it and what it says now."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from osm.core.api.registry import Kind
from osm.core.model.origin import Finding
from osm.core.status.conditions import TYPES, Condition, conditions_of

COMMITTED = "committed"
ERROR = "error"
PENDING = "pending"
COMMITTED_REASON = "successfully committed by the system"
"""OSM's words."""


class Present(msgspec.Struct, frozen=True):
    """What an object is at this moment, as far as its status depends on it."""

    generation: int
    status: Mapping[str, Any] = {}


Status = dict[str, Any]


def wanted_status(
    kind: Kind, present: Present, findings: Sequence[Finding], now: str
) -> Status | None:
    """Our fields of the status that an object should have; None when it has them. `now`: RFC 3339."""
    conditions = conditions_of(findings, acts=kind.acts)
    word, why = _in_a_word(conditions)
    before = _present_conditions(present.status)
    wanted: Status = {
        "currentStatus": word,
        "reason": why,
        "observedGeneration": present.generation,
        "conditions": [
            _dated(condition, before.get(condition.type, {}), present.generation, now)
            for condition in conditions
        ],
    }
    return None if same_status(wanted, present.status) else wanted


def same_status(wanted: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether a status says all that is wanted. What others say beside it does not count."""
    there = _present_conditions(status)
    return all(
        status.get(name) == value for name, value in wanted.items() if name != "conditions"
    ) and all(
        there.get(each["type"], {}).get(name) == value
        for each in wanted["conditions"]
        for name, value in each.items()
    )


def _in_a_word(conditions: Sequence[Condition]) -> tuple[str, str]:
    accepted, programmed = conditions
    if accepted.status == "False":
        return ERROR, accepted.message
    if programmed.reason == "NoEffect":
        return PENDING, programmed.message
    if programmed.status == "False":
        return ERROR, programmed.message
    return COMMITTED, COMMITTED_REASON


def _dated(
    condition: Condition, before: Mapping[str, Any], generation: int, now: str
) -> dict[str, Any]:
    kept = before.get("lastTransitionTime")
    unchanged = before.get("status") == condition.status and isinstance(kept, str) and kept
    dated = msgspec.structs.replace(
        condition,
        observed_generation=generation,
        last_transition_time=kept if unchanged else now,
    )
    fields: dict[str, Any] = msgspec.to_builtins(dated)
    return fields


def _present_conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By type. People and programs write anything into a status: what is no condition is none."""
    found = status.get("conditions")
    return {
        each["type"]: each
        for each in (found if isinstance(found, list | tuple) else ())
        if isinstance(each, Mapping) and each.get("type") in TYPES
    }
