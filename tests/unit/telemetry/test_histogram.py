from math import inf

import pytest

from osm.telemetry.histogram import quantile

BUCKETS = {1.0: 0.0, 5.0: 50.0, 10.0: 90.0, 100.0: 100.0, inf: 100.0}


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.25, 3.0), (0.5, 5.0), (0.7, 7.5), (0.9, 10.0), (0.99, 91.0), (1.0, 100.0)],
)
def test_a_quantile_lies_within_its_bucket_in_proportion(share: float, expected: float) -> None:
    assert quantile(share, BUCKETS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        pytest.param({}, None, id="no buckets"),
        pytest.param({1.0: 0.0, inf: 0.0}, None, id="no values"),
        pytest.param({1.0: 10.0, inf: 10.0}, 0.5, id="all in the first"),
        pytest.param({1.0: 0.0, 5.0: 0.0, inf: 10.0}, 5.0, id="all beyond the last bound"),
        pytest.param({1.0: 6.0, 5.0: 5.0, inf: 10.0}, 1.0 * 5 / 6, id="a count that shrinks"),
        pytest.param({inf: 3.0}, 0.0, id="no finite bound"),
    ],
)
def test_odd_histograms_have_a_median_or_none(
    buckets: dict[float, float], expected: float | None
) -> None:
    assert quantile(0.5, buckets) == expected
