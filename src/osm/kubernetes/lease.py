"""Which replica writes: the holder of a Lease (`coordination.k8s.io/v1`), as client-go elects it.

A holder stops before anybody else may begin: it may write for `renew_s` after it began the last
renewal that succeeded, by its own clock; the others wait for `lease_s` after they saw that renewal,
by theirs. No clock is compared with another. Holders that were stopped or cut off meanwhile are held
back by `fence`, which looks at the clock right before each write.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from random import Random

import msgspec
import structlog

from osm.kubernetes.api_server import JSON, ApiServer, Status
from osm.kubernetes.writing import FAILURES, NOT_FOUND, NotLeading, Write

log = structlog.get_logger("osm.kubernetes")

RELEASE_LIMIT_S = 2.0
ERROR_PAUSE_S = 5.0
"""After a mistake of ours ended what was done while leading: others may have more luck."""


class LeaseTimes(msgspec.Struct, frozen=True):
    """In seconds; `retry_s` < `renew_s` < `lease_s`, which is a whole number."""

    lease_s: int = 15
    renew_s: float = 10.0
    retry_s: float = 2.0


class LeaseName(msgspec.Struct, frozen=True):
    """Which Lease, and the labels that it has."""

    namespace: str
    name: str
    labels: Mapping[str, str] = {}


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()


def since_boot_s() -> float:
    """A clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Leadership:
    """One contender. `identity` is unique to this process; belongs to one event loop."""

    def __init__(
        self,
        server: ApiServer,
        lease: LeaseName,
        identity: str,
        *,
        rng: Random,
        times: LeaseTimes | None = None,
        now_s: Callable[[], float] = since_boot_s,
        observe: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`observe` hears whether this one leads, with each change."""
        self._server = server
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{lease.namespace}/leases"
        self._name = lease.name
        self._labels = dict(lease.labels)
        self.identity = identity
        self._rng = rng
        self._times = times or LeaseTimes()
        self._now_s = now_s
        self._observe = observe
        self._seen = _Lease()
        self._seen_at = 0.0
        self._until = 0.0
        """Until when this one may write."""
        self.terms = 0
        """How often it has begun to lead."""

    @property
    def leads(self) -> bool:
        """Whether it may write at this moment."""
        return self._now_s() < self._until

    @property
    def holder(self) -> str:
        """Who held the lease when it was last looked at; empty: nobody."""
        return self._seen.spec.holder_identity or ""

    def fence(self, write: Write) -> Write:
        """The same way to write, which raises `NotLeading` instead when the time is over."""

        async def only_while_leading(
            method: str,
            path: str,
            parameters: Mapping[str, str] | None = None,
            body: object = None,
            content_type: str = JSON,
        ) -> bytes:
            if not self.leads:
                raise NotLeading
            return await write(method, path, parameters, body, content_type)

        return only_while_leading

    async def run(self, while_leading: Callable[[], Awaitable[None]]) -> None:
        """Contend, and lead, until cancelled; then give the lease back.

        `while_leading` runs for as long as this one leads and is cancelled at the end. When it raises
        or returns, the lease is given back, and contended for again.
        """
        try:
            while True:
                while not await self._attempt(self._times.renew_s / 2):
                    await self._pause()
                if await self._lead(while_leading):
                    await self._release()
                    await asyncio.sleep(ERROR_PAUSE_S * self._rng.uniform(1, 1.2))
        finally:
            await self._release()

    async def _lead(self, while_leading: Callable[[], Awaitable[None]]) -> bool:
        """Returns when the lease is lost, or, with True, when there is nothing more to do with it."""
        self.terms += 1
        self._observe(True)
        log.info("this replica writes now", identity=self.identity)
        body = asyncio.ensure_future(while_leading())
        renewing = asyncio.create_task(self._renew())
        try:
            await asyncio.wait((body, renewing), return_when=asyncio.FIRST_COMPLETED)
            ended = body.done()
        finally:
            for task in (renewing, body):
                task.cancel()
            results = await asyncio.gather(body, renewing, return_exceptions=True)
            self._observe(False)
        for error in results:
            if isinstance(error, Exception) and not isinstance(error, NotLeading):
                log.error("what only one replica does has failed", exc_info=error)
        log.info("this replica writes no more", identity=self.identity, holder=self.holder)
        return ended

    async def _renew(self) -> None:
        """Returns when the lease is lost."""
        while True:
            left = self._until - self._now_s()
            await asyncio.sleep(min(self._times.retry_s, max(left, 0.0)))
            left = self._until - self._now_s()
            if left <= 0:
                log.warning("the lease could not be renewed in time", identity=self.identity)
                return
            renewed = await self._attempt(min(left, self._times.renew_s / 2))
            if not renewed and self.holder not in ("", self.identity):
                self._until = 0.0
                return

    async def _pause(self) -> None:
        await asyncio.sleep(self._times.retry_s * self._rng.uniform(1.0, 1.2))

    # --- the Lease

    async def _attempt(self, limit_s: float) -> bool:
        """Take the lease, or renew it. False when that is not possible, or not known."""
        started = self._now_s()
        try:
            async with asyncio.timeout(limit_s):
                taken = await self._take_or_renew()
        except FAILURES as error:
            # Somebody was faster, or the answer was lost: the next one looks first.
            self._forget_version()
            log.debug("no lease", error=f"{type(error).__name__}: {error}")
            return False
        if taken:
            self._until = started + self._times.renew_s
        return taken

    async def _take_or_renew(self) -> bool:
        if self.holder == self.identity and self._seen.metadata.resource_version:
            await self._put(self.identity)
            return True
        is_there = await self._look()
        if self._is_held_by_another():
            return False  # also when somebody deleted it: who had it may still write
        await (self._put(self.identity) if is_there else self._create())
        return True

    def _is_held_by_another(self) -> bool:
        if self.holder in ("", self.identity):
            return False
        # Longer than ours when somebody says so; that it is over, only our own clock says.
        duration = max(self._seen.spec.lease_duration_seconds or 0, self._times.lease_s)
        return self._now_s() < self._seen_at + duration

    async def _look(self) -> bool:
        """Read the lease; False when there is none."""
        try:
            body = await self._server.get(f"{self._folder}/{self._name}")
        except Status as status:
            if status.code == NOT_FOUND:
                return False
            raise
        lease = msgspec.json.decode(body, type=_Lease)
        if lease.spec != self._seen.spec:
            self._seen_at = self._now_s()
        self._seen = lease
        return True

    async def _create(self) -> None:
        body = self._document(_Spec(), self.identity, "")
        self._saw_own(await self._server.request("POST", self._folder, body=body))

    async def _put(self, holder: str) -> None:
        """Write the lease as it was seen last, or fail with a conflict."""
        body = self._document(self._seen.spec, holder, self._seen.metadata.resource_version)
        path = f"{self._folder}/{self._name}"
        self._saw_own(await self._server.request("PUT", path, body=body))

    def _saw_own(self, body: bytes) -> None:
        self._seen = msgspec.json.decode(body, type=_Lease)
        self._seen_at = self._now_s()

    def _forget_version(self) -> None:
        self._seen = _Lease(_Metadata(), self._seen.spec)

    def _document(self, before: _Spec, holder: str, version: str) -> dict[str, object]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # for people only
        same, transitions = before.holder_identity == holder, before.lease_transitions
        spec = _Spec(
            holder_identity=holder,
            lease_duration_seconds=self._times.lease_s if holder else 1,
            acquire_time=before.acquire_time if same else now,
            renew_time=now,
            lease_transitions=0
            if transitions is None
            else transitions + (not same and holder != ""),
        )
        metadata: dict[str, object] = {"name": self._name, "labels": self._labels}
        if version:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": msgspec.to_builtins(spec),
        }

    async def _release(self) -> None:
        """Say that nobody holds the lease, if that was us. The next one need not wait then."""
        if self.holder != self.identity:
            return
        self._until = 0.0
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                if not self._seen.metadata.resource_version:
                    await self._look()
                if self.holder == self.identity:
                    await self._put("")
        except FAILURES as error:
            log.info("the lease was not given back", error=f"{type(error).__name__}: {error}")
        self._seen = _Lease()
