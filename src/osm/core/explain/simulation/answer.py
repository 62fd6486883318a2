"""What becomes of a call."""

from collections.abc import Iterable
from fractions import Fraction

import msgspec


class NotSimulated(Exception):
    """The configuration has something in it whose effect the simulation does not know."""


class Ending(msgspec.Struct, frozen=True, order=True):
    """How one way through the mesh ends.

    Outcomes are `forwarded` (to the application at `place`), `beyond` (left the mesh for `place`),
    `denied`, `no route`, `direct response`, `no cluster`, `no endpoints`, `redirected`,
    `bad request`, `wrong protocol` and `closed`. `status` is the HTTP answer's, 0 where there is none.
    """

    outcome: str
    place: str = ""
    status: int = 0
    reason: str = ""
    via: str = ""
    """The cluster of the caller's side that was chosen."""


class Answer(msgspec.Struct, frozen=True):
    """Endings, and the share of calls that each gets. The shares add up to 1."""

    shares: tuple[tuple[Fraction, Ending], ...]

    @property
    def outcomes(self) -> frozenset[str]:
        return frozenset(ending.outcome for _, ending in self.shares)


def ends(outcome: str, *, place: str = "", status: int = 0, reason: str = "") -> Answer:
    """All calls end in one way."""
    return Answer(((Fraction(1), Ending(outcome, place, status, reason)),))


def mixed(parts: Iterable[tuple[int, Answer]]) -> Answer:
    """Several answers by their weights."""
    weighted = [(weight, answer) for weight, answer in parts if weight > 0]
    total = sum(weight for weight, _ in weighted)
    found: dict[Ending, Fraction] = {}
    for weight, answer in weighted:
        for share, ending in answer.shares:
            found[ending] = found.get(ending, Fraction(0)) + share * weight / total
    return Answer(tuple((found[ending], ending) for ending in sorted(found)))


def by_way_of(cluster: str, answer: Answer) -> Answer:
    """The same, with the cluster that led there."""
    return Answer(
        tuple(
            (share, msgspec.structs.replace(ending, via=cluster)) for share, ending in answer.shares
        )
    )
