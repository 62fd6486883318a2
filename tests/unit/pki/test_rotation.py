"""When leaves are renewed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.pki.rotation import Life, expiry_warning

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BACKDATE = timedelta(minutes=5)


def life(validity: timedelta) -> Life:
    return Life(NOW, NOW - BACKDATE, NOW + validity)


@pytest.mark.parametrize(
    ("validity", "renewed_after"),
    [
        (timedelta(hours=24), timedelta(hours=16)),
        (timedelta(hours=1), timedelta(minutes=40)),
        (timedelta(minutes=15), timedelta(minutes=10)),
        (timedelta(minutes=12), timedelta(minutes=7)),
        (timedelta(minutes=10), timedelta(minutes=6, seconds=40)),
        (timedelta(seconds=60), timedelta(seconds=40)),
        (timedelta(seconds=3), timedelta(seconds=2)),
    ],
    ids=str,
)
def test_a_leaf_is_renewed_at_two_thirds_of_its_life_or_five_minutes_before_its_end(
    validity: timedelta, renewed_after: timedelta
) -> None:
    leaf = life(validity)
    assert leaf.renew_at(0) == NOW + renewed_after
    assert not leaf.is_due(NOW + renewed_after - timedelta(milliseconds=1), 0)
    assert leaf.is_due(NOW + renewed_after, 0)


def test_jitter_moves_a_renewal_earlier_by_up_to_a_tenth_of_the_life() -> None:
    leaf = life(timedelta(hours=20))
    assert leaf.renew_at(0) - leaf.renew_at(1) == timedelta(hours=2)


def test_a_leaf_from_the_future_is_renewed_at_once() -> None:
    """The clock was set back by more than the back-dating: peers would refuse the old leaf."""
    leaf = life(timedelta(hours=24))
    assert not leaf.is_due(NOW - BACKDATE, 0)
    assert leaf.is_due(NOW - BACKDATE - timedelta(seconds=1), 0)


@given(
    seconds=st.floats(min_value=1, max_value=10 * 365 * 86400),
    jitter=st.floats(min_value=0, max_value=1),
)
def test_a_renewal_falls_into_the_second_half_of_every_life(seconds: float, jitter: float) -> None:
    validity = timedelta(seconds=seconds)
    at = life(validity).renew_at(jitter) - NOW
    assert validity * 0.4 <= at < validity


@pytest.mark.parametrize(
    ("days_left", "warning"),
    [(31, None), (30, 30), (8, 30), (7, 7), (1.5, 7), (1, 1), (0.1, 1), (-1, 1)],
)
def test_a_root_that_nears_its_end_is_warned_about_at_30_7_and_1_days(
    days_left: float, warning: int | None
) -> None:
    expected = None if warning is None else timedelta(days=warning)
    assert expiry_warning(NOW + timedelta(days=days_left), NOW) == expected
