"""When what ended is started again: after 0.2 s, doubling to 30 s, and anew after a good minute."""

from osm.kit.backoff import Backoff

HEALTHY_S = 60.0
_BACKOFF = Backoff(base_s=0.2, ceiling_s=30.0)


class Restarts:
    """The restarts of one program. Without jitter: there is nobody else to collide with."""

    def __init__(self, backoff: Backoff = _BACKOFF) -> None:
        self._backoff = backoff
        self._attempt = 0
        self.count = 0
        """How often it was started again, in all."""

    def delay_s(self, ran_for_s: float) -> float:
        """How long to wait now that it ended after so many seconds."""
        if ran_for_s >= HEALTHY_S:
            self._attempt = 0
        delay = self._backoff.limit_s(self._attempt)
        self._attempt += 1
        self.count += 1
        return delay


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Why something ended, of all that went wrong at once."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
