"""How long to wait before the next attempt: exponential, with full jitter.

Full jitter (a draw from the whole interval, not around its end) is what spreads a thousand clients
that failed at the same moment.
"""

from random import Random

import msgspec


class Backoff(msgspec.Struct, frozen=True, gc=False):
    """Attempt `n` (from 0) waits between 0 and `base_s * 2**n` seconds, at most `ceiling_s`."""

    base_s: float = 0.2
    ceiling_s: float = 30.0

    def limit_s(self, attempt: int) -> float:
        """Return the longest delay that this attempt can draw."""
        # The exponent is bounded, since 2.0**1100 raises OverflowError.
        return min(self.ceiling_s, self.base_s * 2.0 ** min(max(attempt, 0), 60))

    def delay_s(self, attempt: int, rng: Random) -> float:
        """Draw the delay before this attempt."""
        return rng.uniform(0.0, self.limit_s(attempt))
