"""Sets of few members behave as sets do, however many members they get."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from osm.core.derive.few import FEW, Few, joined, parted

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 2 * FEW)), max_size=200)


@given(STEPS)
def test_members_are_those_of_a_set(steps: list[tuple[bool, int]]) -> None:
    few: Few[int] = ()
    plain: set[int] = set()
    for joins, member in steps:
        few = joined(few, member) if joins else parted(few, member)
        (plain.add if joins else plain.discard)(member)
        assert sorted(few) == sorted(plain)
        assert bool(few) == bool(plain)


def test_few_take_little_and_many_are_found_by_table() -> None:
    few: Few[int] = ()
    for member in range(FEW):
        few = joined(few, member)
    assert sys.getsizeof(few) < sys.getsizeof(set(range(FEW))) / 3
    assert isinstance(joined(few, FEW), set)


def test_what_becomes_few_again_takes_little_again() -> None:
    few: Few[int] = set(range(1000))
    for member in range(1, 1000):
        few = parted(few, member)
    assert few == (0,)
    assert parted(few, 0) == ()
