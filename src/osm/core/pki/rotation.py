"""When to renew a leaf, and when to warn about a root."""

from datetime import datetime, timedelta

import msgspec

SHORT = timedelta(minutes=10)
"""Leaves that live no longer than this are for tests and demonstrations."""

LEAST_MARGIN = timedelta(minutes=5)
JITTER_SHARE = 10
"""Renewals are spread over a tenth of the life, so that a thousand do not fall due at once."""

EXPIRY_WARNINGS = (timedelta(days=1), timedelta(days=7), timedelta(days=30))


class Life(msgspec.Struct, frozen=True, gc=False):
    """When a certificate was received (by our clock), and from when to when it is valid.

    The life is counted from `received`: `not_before` is back-dated as far as an issuer likes.
    """

    received: datetime
    not_before: datetime
    not_after: datetime

    @property
    def margin(self) -> timedelta:
        """How much life must be left: a third, and at least five minutes unless it is short."""
        validity = self.not_after - self.received
        third = validity / 3
        return third if validity <= SHORT else max(third, LEAST_MARGIN)

    def renew_at(self, jitter: float) -> datetime:
        """When to renew. `jitter`, from 0 to 1, moves it earlier by up to a tenth of the life."""
        early = (self.not_after - self.received) / JITTER_SHARE * jitter
        return self.not_after - self.margin - early

    def is_due(self, now: datetime, jitter: float) -> bool:
        """Tell whether to renew now.

        Also when the clock was set back to before the certificate's life: others may see that too.
        """
        return now >= self.renew_at(jitter) or now < self.not_before


def expiry_warning(not_after: datetime, now: datetime) -> timedelta | None:
    """The narrowest of the warnings at 30, 7 and 1 days that is reached, or None."""
    return next((limit for limit in EXPIRY_WARNINGS if not_after - now <= limit), None)
