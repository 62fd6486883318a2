"""What `osm migrate check` says."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """What an entry asks of people, the most urgent first."""

    UNSUPPORTED = "unsupported"
    """It will not work; there is another way, or a later release."""
    ACTION = "action"
    """It must be done by somebody, before, while or after."""
    CHANGES = "changes"
    """It works, and means something else."""
    CARRY_OVER = "carry-over"
    """It works as before."""


class Entry(msgspec.Struct, frozen=True, order=True):
    """One thing that was found: a stable code, what is concerned, what becomes of it, and what to do.

    `object` is as `MeshConfig osm-system/osm-mesh-config`, or empty for the mesh as a whole.
    """

    severity: Severity
    code: str
    object: str
    field: str
    message: str
    to_do: str = ""


class Step(msgspec.Struct, frozen=True):
    """A part of the plan: what and why, and commands to type."""

    title: str
    text: str
    commands: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """One way to take over, in order."""

    title: str
    steps: tuple[Step, ...]


class Report(msgspec.Struct, frozen=True):
    """All of it. `found` says in a line what was looked at."""

    found: tuple[str, ...]
    entries: tuple[Entry, ...]
    plans: tuple[Plan, ...]


ORDER = tuple(Severity)


def in_order(entries: list[Entry]) -> tuple[Entry, ...]:
    """The most urgent first, then by code and object; each once."""
    return tuple(sorted(set(entries), key=lambda each: (ORDER.index(each.severity), *_place(each))))


def _place(entry: Entry) -> tuple[str, str, str, str]:
    return entry.code, entry.object, entry.field, entry.message
