"""Limits how often something may be done, and allows short bursts."""


class TokenBucket:
    """`rate` per second, and up to `burst` at once. Seconds are the caller's, of any one clock."""

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now_s

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        self._refill(now_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def is_full(self, now_s: float) -> bool:
        """Tell whether nothing was taken lately: then the bucket need not be remembered."""
        self._refill(now_s)
        return self._tokens >= self._burst

    def _refill(self, now_s: float) -> None:
        # A clock that was set back adds nothing, and is followed.
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at) * self._rate)
        self._at = now_s
