"""Interleaved rounds: every pair once in each, in an order that rotates, and ratios round by round."""

import itertools
import math
from collections.abc import Mapping, Sequence

import msgspec

from bench.data_plane.rig import Cost, Pair, Rig
from bench.figures import middle

Round = Mapping[str, Cost]
"""What each pair cost in one round, by name."""


class Ratio(msgspec.Struct, frozen=True):
    """The median of the rounds' ratios, where it lies with 95 % certainty, and the extremes."""

    median: float
    low: float
    high: float
    least: float
    most: float

    @property
    def text(self) -> str:
        interval = f"median in {self.low:.3f} to {self.high:.3f} (95 %), "
        # Of five rounds or fewer no two bound the median with that certainty.
        bounded = (self.low, self.high) != (self.least, self.most)
        return f"{interval * bounded}rounds {self.least:.2f} to {self.most:.2f}"


async def rounds(
    rig: Rig, pairs: Sequence[Pair], *, number: int, connections: int, requests: int
) -> list[Round]:
    """Drive all pairs, one after the other, so many times."""
    found: list[Round] = []
    for turn in range(number):
        first = turn % len(pairs)
        order = [*pairs[first:], *pairs[:first]]
        if turn // len(pairs) % 2:
            order.reverse()
        found.append(
            {
                pair.name: await rig.cost(pair, connections=connections, requests=requests)
                for pair in order
            }
        )
    return found


def ratio(found: Sequence[Round], name: str, to: str) -> Ratio:
    """CPU for a request of one pair, to that of another."""
    values = sorted(each[name].pair_us / each[to].pair_us for each in found)
    below = _rank_of_interval(len(values))
    return Ratio(middle(values), values[below], values[-1 - below], values[0], values[-1])


def cpu_us(found: Sequence[Round], name: str) -> tuple[float, float]:
    """Median CPU for a request, of the client's proxy and of the server's."""
    costs = [each[name] for each in found]
    return middle([cost.client_us for cost in costs]), middle([cost.server_us for cost in costs])


def latency_us(found: Sequence[Round], name: str) -> float:
    """The median over the rounds of the median latency."""
    return middle([each[name].driven.p50_us for each in found])


def _rank_of_interval(count: int) -> int:
    """How many sorted values lie below the interval that holds the median with 95 % certainty: where
    a fair coin shows so few heads, or fewer, in at most 2.5 % of all series of `count` throws.
    """
    chances = itertools.accumulate(math.comb(count, heads) * 0.5**count for heads in range(count))
    return max(0, sum(chance <= 0.025 for chance in chances) - 1)
