"""Quantiles from a Prometheus histogram's buckets."""

from collections.abc import Mapping
from math import inf


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Estimate a quantile (`share` from 0 to 1) as Prometheus' `histogram_quantile` does.

    `buckets` are cumulative counts by upper bound. Within a bucket, values count as spread evenly;
    beyond the last finite bound, that bound is the answer. None when there is no value.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank = share * total
    below, lower = 0.0, 0.0
    for bound in bounds:
        # Counters of several proxies are read one after the other, so sums may shrink a little.
        count = max(below, buckets[bound])
        if count >= rank and count > below:
            if bound == inf:
                return lower
            return lower + (bound - lower) * max(0.0, rank - below) / (count - below)
        below = count
        lower = lower if bound == inf else bound
    return lower
