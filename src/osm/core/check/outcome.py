"""What a check is, and what comes out of it."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from osm.core.check.facts import Facts


class State(StrEnum):
    """How a check came out. `skipped`: it could not be made, and says why."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


class Found(msgspec.Struct, frozen=True):
    """What a check saw: its state, and lines that say what is wrong or what there is."""

    state: State
    lines: tuple[str, ...] = ()


Look = Callable[[Facts], Found]


class Check(msgspec.Struct, frozen=True):
    """One check. `name` is stable: it is the anchor of its part of the page."""

    name: str
    title: str
    """What holds when all is well."""
    hint: str
    """What to do when it does not hold."""
    look: Look
    before: bool = True
    """Whether it is made before an installation."""
    after: bool = True
    """Whether it is made of an installed mesh."""
    fatal: bool = False
    """Without it, no later check can say anything."""


class Group(msgspec.Struct, frozen=True):
    """Checks about one thing. `applies`: whether there is that thing at all."""

    name: str
    checks: tuple[Check, ...]
    applies: Callable[[Facts], bool] = lambda _: True


class Result(msgspec.Struct, frozen=True):
    """A check that was made."""

    group: str
    check: str
    title: str
    state: State
    details: tuple[str, ...] = ()
    hint: str = ""
    page: str = ""


def fine(*lines: str) -> Found:
    """All is well; the lines say what there is."""
    return Found(State.OK, lines)


def warned(*lines: str) -> Found:
    """Fine without lines, a warning with them."""
    return Found(State.WARNING if lines else State.OK, lines)


def failed(*lines: str) -> Found:
    """Fine without lines, an error with them."""
    return Found(State.ERROR if lines else State.OK, lines)


def skipped(why: str) -> Found:
    """It could not be looked at."""
    return Found(State.SKIPPED, (why,))
