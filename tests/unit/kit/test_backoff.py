from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.kit.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "limit"), [(-1, 0.5), (0, 0.5), (1, 1.0), (3, 4.0), (5, 10.0), (10_000, 10.0)]
)
def test_the_longest_wait_doubles_up_to_the_ceiling(attempt: int, limit: float) -> None:
    assert Backoff(base_s=0.5, ceiling_s=10.0).limit_s(attempt) == limit


@given(attempt=st.integers(0, 10**9), seed=st.integers())
def test_a_wait_is_never_longer_than_its_limit(attempt: int, seed: int) -> None:
    backoff = Backoff()
    assert 0 <= backoff.delay_s(attempt, Random(seed)) <= backoff.limit_s(attempt) <= 30


def test_waits_are_spread_over_the_whole_interval() -> None:
    rng = Random(4)
    delays = [Backoff(base_s=1.0).delay_s(3, rng) for _ in range(1000)]
    assert min(delays) < 0.1 and max(delays) > 7.9 and 3.7 < sum(delays) / 1000 < 4.3
