"""Keeps each identity's certificate fresh: issues it once, renews it in time, tells who listens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from math import inf
from random import Random

import structlog

from osm.core.pki.certificate import ServerName, Subject
from osm.core.pki.rotation import Life
from osm.errors import IssuerError
from osm.issuers.answer import check_answer
from osm.issuers.token_bucket import TokenBucket
from osm.kit.backoff import Backoff
from osm.kit.broadcast import Conflation
from osm.ports import Clock, Issuer, KeyPair

log = structlog.get_logger()

RATE = 5.0
BURST = 20.0
POLL_S = 5.0
"""How late a renewal may be: also how soon a clock that was set is noticed."""

DEADLINE_S = 10.0
PARALLEL = 16
RETRY_CEILING_S = 60.0

Observe = Callable[[str, float], None]
"""Called with `issued`, `failed` or `limited`, and how long it took in seconds."""


class _Entry:
    """One subject: its current pair and the state of its renewal."""

    def __init__(self, jitter: float) -> None:
        self.pair: KeyPair | None = None
        self.life: Life | None = None
        self.jitter = jitter
        self.failures = 0
        self.retry_at: datetime | None = None
        self.waiting = 0
        self.lock = asyncio.Lock()

    def due_in_s(self, now: datetime) -> float:
        """Seconds until it is to be renewed; infinite when there is nothing to renew yet."""
        if self.life is None:
            return inf
        if self.retry_at is not None:
            wait = (self.retry_at - now).total_seconds()
            if 0 < wait <= RETRY_CEILING_S:  # a longer one comes of a clock that was set back
                return wait
        if self.life.is_due(now, self.jitter):
            return 0.0
        return (self.life.renew_at(self.jitter) - now).total_seconds()

    def valid_pair(self, now: datetime) -> KeyPair | None:
        return self.pair if self.pair is not None and self.pair.not_after > now else None


class CertificateKeeper:
    """Current key pairs by subject. `run` belongs to a task; without it nothing is renewed.

    While the issuer fails, the current pair stays, and is given out until it expires.
    """

    def __init__(
        self,
        issuer: Issuer,
        clock: Clock,
        *,
        rng: Random,
        observe: Observe | None = None,
        backoff: Backoff = Backoff(base_s=1.0, ceiling_s=RETRY_CEILING_S),  # noqa: B008
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._rng = rng
        self._observe = observe or (lambda _outcome, _seconds: None)
        self._backoff = backoff
        self._entries: dict[Subject, _Entry] = {}
        self._buckets: dict[Subject, TokenBucket] = {}
        self._renewed: Conflation[Subject, KeyPair] = Conflation()

    @property
    def issuer(self) -> Issuer:
        return self._issuer

    async def get(self, subject: Subject) -> KeyPair:
        """Return the subject's pair, issuing it the first time. Raises `IssuerError`."""
        entry = self._entries.get(subject)
        if entry is None:
            entry = self._entries[subject] = _Entry(self._rng.random())
        elif pair := entry.valid_pair(self._clock.now()):
            return pair
        entry.waiting += 1
        try:
            async with entry.lock:  # so that many who ask at once cause one certificate
                return entry.valid_pair(self._clock.now()) or await self._issue(subject, entry)
        finally:
            entry.waiting -= 1
            if entry.pair is None and not entry.waiting and self._entries.get(subject) is entry:
                del self._entries[subject]  # names that get no certificate must not pile up

    def adopt(self, subject: Subject, not_before: datetime, not_after: datetime) -> bool:
        """Take over the renewal of a certificate that a proxy holds and another keeper issued.

        Only of one that needs no renewal yet, and for a subject that has none here.
        """
        entry = _Entry(self._rng.random())
        entry.life = Life(not_before, not_before, not_after)
        if subject in self._entries or entry.life.is_due(self._clock.now(), entry.jitter):
            return False
        self._entries[subject] = entry
        return True

    def current(self, subject: Subject) -> KeyPair | None:
        """Return the subject's pair as it is, without issuing one."""
        entry = self._entries.get(subject)
        return entry.pair if entry else None

    def expires(self, subject: Subject) -> datetime | None:
        """When the subject's certificate ends, also one that only a proxy holds."""
        entry = self._entries.get(subject)
        return entry.life.not_after if entry and entry.life else None

    def forget(self, subject: Subject) -> None:
        """Stop renewing for a subject that nobody uses any more."""
        self._entries.pop(subject, None)

    def subscribe(self) -> AbstractContextManager[AsyncIterator[tuple[Subject, KeyPair]]]:
        """`with keeper.subscribe() as renewals:` yields each new pair, the first one included.

        A slow reader sees only the newest pair of a subject.
        """
        return self._renewed.subscribe()

    async def run(self) -> None:
        """Renew what is due, until cancelled."""
        while True:
            now = self._clock.now()
            due = [s for s, entry in self._entries.items() if entry.due_in_s(now) <= 0]
            slots = asyncio.Semaphore(PARALLEL)
            async with asyncio.TaskGroup() as renewals:
                for subject in due:
                    renewals.create_task(self._renew(subject, slots))
            self._drop_full_buckets()
            await self._clock.sleep(self._wait_s())

    async def _renew(self, subject: Subject, slots: asyncio.Semaphore) -> None:
        entry = self._entries.get(subject)
        if entry is None:
            return
        async with slots, entry.lock:
            if entry.due_in_s(self._clock.now()) > 0:
                return  # issued on demand meanwhile
            try:
                await self._issue(subject, entry)
            except IssuerError as error:
                delay = self._backoff.delay_s(entry.failures - 1, self._rng)
                entry.retry_at = self._clock.now() + timedelta(seconds=delay)
                log.warning(
                    "renewal_failed",
                    subject=_name(subject),
                    error=error.message,
                    hint=error.hint,
                    failures=entry.failures,
                    retry_s=round(delay, 1),
                    expires=entry.pair.not_after.isoformat() if entry.pair else "",
                )

    async def _issue(self, subject: Subject, entry: _Entry) -> KeyPair:
        self._limit(subject)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            pair = await self._ask(subject)
        except IssuerError:
            entry.failures += 1
            self._observe("failed", loop.time() - started)
            raise
        now = self._clock.now()
        entry.pair = pair
        entry.life = Life(now, pair.not_before, pair.not_after)
        entry.jitter = self._rng.random()
        entry.failures = 0
        entry.retry_at = None
        self._observe("issued", loop.time() - started)
        log.info("certificate_issued", subject=_name(subject), expires=pair.not_after.isoformat())
        self._renewed.publish(subject, pair)
        return pair

    async def _ask(self, subject: Subject) -> KeyPair:
        try:
            async with asyncio.timeout(DEADLINE_S):
                if isinstance(subject, ServerName):
                    pair = await self._issuer.issue_server(subject.dns_name)
                else:
                    pair = await self._issuer.issue(subject)
        except TimeoutError as error:
            raise IssuerError(
                f"the issuer did not answer for {_name(subject)} in {DEADLINE_S:.0f} s",
                hint="Check that it can be reached.",
            ) from error
        check_answer(pair, subject, self._issuer.trust_bundle, self._clock.now())
        return pair

    def _limit(self, subject: Subject) -> None:
        now_s = self._clock.now().timestamp()
        bucket = self._buckets.setdefault(subject, TokenBucket(RATE, BURST, now_s))
        if not bucket.take(now_s):
            self._observe("limited", 0.0)
            raise IssuerError(
                f"too many certificates were asked for {_name(subject)}",
                hint=f"At most {RATE:.0f} per second are issued for one identity.",
            )

    def _wait_s(self) -> float:
        now = self._clock.now()
        soonest = min((entry.due_in_s(now) for entry in self._entries.values()), default=inf)
        return min(max(0.1, soonest), POLL_S)

    def _drop_full_buckets(self) -> None:
        now_s = self._clock.now().timestamp()
        for subject in [s for s, bucket in self._buckets.items() if bucket.is_full(now_s)]:
            del self._buckets[subject]


def _name(subject: Subject) -> str:
    return subject.dns_name if isinstance(subject, ServerName) else subject.spiffe_id
