"""The keeper: fresh in time, patient with an issuer that fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.pki.certificate import ServerName, Subject
from osm.errors import IssuerError
from osm.issuers.keeper import CertificateKeeper
from osm.issuers.tresor import Tresor
from osm.ports import KeyPair
from osm.testing.clock import FakeClock

BUYER = Identity("cluster.local", "bookbuyer", "bookbuyer")
THIEF = Identity("cluster.local", "bookthief", "bookthief")


class Issuer:
    """Tresor, with a fault that can be put in its way."""

    def __init__(self, directory: Path, clock: FakeClock, validity: timedelta) -> None:
        self.tresor = Tresor.open(
            directory, trust_domain="cluster.local", leaf_validity=validity, clock=clock
        )
        self.leaf_validity = validity
        self.calls = 0
        self.fault: Callable[[Subject], Awaitable[KeyPair]] | None = None

    async def issue(self, who: Identity | ProxyIdentity) -> KeyPair:
        self.calls += 1
        await asyncio.sleep(0)
        return await (self.fault(who) if self.fault else self.tresor.issue(who))

    async def issue_server(self, dns_name: str) -> KeyPair:
        self.calls += 1
        return await self.tresor.issue_server(dns_name)

    @property
    def trust_bundle(self) -> bytes:
        return self.tresor.trust_bundle


class Mesh:
    def __init__(self, directory: Path, validity: timedelta) -> None:
        self.clock = FakeClock()
        self.issuer = Issuer(directory, self.clock, validity)
        self.outcomes: list[str] = []
        self.keeper = CertificateKeeper(
            self.issuer,
            self.clock,
            rng=Random(1),
            observe=lambda outcome, _: self.outcomes.append(outcome),
        )


@asynccontextmanager
async def running(
    directory: Path, validity: timedelta = timedelta(hours=24)
) -> AsyncIterator[Mesh]:
    mesh = Mesh(directory, validity)
    task = asyncio.create_task(mesh.keeper.run())
    try:
        yield mesh
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def down(subject: Subject) -> KeyPair:
    raise IssuerError("the issuer is down")


async def test_a_certificate_is_issued_once_for_all_who_ask(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        pairs = await asyncio.gather(*(mesh.keeper.get(BUYER) for _ in range(100)))
        assert len({pair.certificate for pair in pairs}) == 1
        assert mesh.issuer.calls == 1


async def test_each_kind_of_subject_gets_its_own(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        subjects = (BUYER, ProxyIdentity(BUYER, "bookbuyer-0"), ServerName("osm-controller"))
        pairs = [await mesh.keeper.get(subject) for subject in subjects]
        assert len({pair.certificate for pair in pairs}) == 3


async def test_a_leaf_of_a_minute_is_renewed_in_time_for_twenty_minutes(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(seconds=60)) as mesh:
        seen = set()
        for _ in range(1200):
            await mesh.clock.advance(1)
            pair = await mesh.keeper.get(BUYER)
            assert pair.not_after - mesh.clock.now() >= timedelta(seconds=14)
            seen.add(pair.certificate)
        assert 28 <= len(seen) <= 40
        assert mesh.issuer.calls == len(seen)


async def test_whoever_listens_hears_of_each_new_certificate(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(hours=1)) as mesh:
        with mesh.keeper.subscribe() as renewals:
            first = await mesh.keeper.get(BUYER)
            assert await anext(renewals) == (BUYER, first)
            await mesh.clock.advance(3600)
            subject, second = await anext(renewals)
            assert subject == BUYER and second.certificate != first.certificate
            assert mesh.keeper.current(BUYER) == second


async def test_an_issuer_that_fails_leaves_the_current_certificate_in_use(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(hours=1)) as mesh:
        first = await mesh.keeper.get(BUYER)
        mesh.issuer.fault = down
        await mesh.clock.advance(3590)
        assert await mesh.keeper.get(BUYER) == first
        assert 15 <= mesh.issuer.calls <= 200  # 20 minutes and more of retries, ever rarer
        mesh.issuer.fault = None
        await mesh.clock.advance(61)
        assert (await mesh.keeper.get(BUYER)).certificate != first.certificate


async def test_an_expired_certificate_is_not_given_out(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(hours=1)) as mesh:
        await mesh.keeper.get(BUYER)
        mesh.issuer.fault = down
        await mesh.clock.advance(3601)
        with pytest.raises(IssuerError, match="down"):
            await mesh.keeper.get(BUYER)


async def test_a_clock_that_jumps_eight_hours_ahead_brings_a_new_leaf_within_ten_seconds(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "ca", timedelta(hours=8)) as mesh:
        first = await mesh.keeper.get(BUYER)
        mesh.clock.jump(timedelta(hours=8))
        await mesh.clock.advance(10)
        pair = mesh.keeper.current(BUYER)
        assert pair is not None and pair != first and pair.not_after > mesh.clock.now()


async def test_a_clock_that_is_set_back_brings_a_leaf_that_is_valid_then(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        await mesh.clock.advance(3600)
        await mesh.keeper.get(BUYER)
        mesh.clock.jump(timedelta(minutes=-10))
        await mesh.clock.advance(10)
        pair = mesh.keeper.current(BUYER)
        assert pair is not None and pair.not_before <= mesh.clock.now()


async def test_a_small_step_back_of_the_clock_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        await mesh.clock.advance(3600)
        await mesh.keeper.get(BUYER)
        mesh.clock.jump(timedelta(minutes=-4))
        await mesh.clock.advance(10)
        assert mesh.issuer.calls == 1


async def test_one_identity_cannot_flood_the_issuer(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        refused = 0
        for _ in range(1000):
            mesh.keeper.forget(BUYER)
            try:
                await mesh.keeper.get(BUYER)
            except IssuerError:
                refused += 1
        assert (mesh.issuer.calls, refused) == (20, 980)
        await mesh.keeper.get(THIEF)  # others are not held up
        assert mesh.outcomes.count("limited") == 980
        await mesh.clock.advance(1)
        mesh.keeper.forget(BUYER)
        await mesh.keeper.get(BUYER)


async def test_who_is_forgotten_is_not_renewed(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(hours=1)) as mesh:
        await mesh.keeper.get(BUYER)
        mesh.keeper.forget(BUYER)
        await mesh.clock.advance(7200)
        assert mesh.issuer.calls == 1


async def test_names_that_get_no_certificate_do_not_pile_up(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        mesh.issuer.fault = down
        answers = await asyncio.gather(
            *(mesh.keeper.get(BUYER) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(answer, IssuerError) for answer in answers)
        assert mesh.keeper.current(BUYER) is None
        mesh.issuer.fault = None
        await mesh.keeper.get(BUYER)


async def test_an_issuer_that_hangs_does_not_hold_up_who_has_a_certificate(tmp_path: Path) -> None:
    async with running(tmp_path / "ca", timedelta(hours=1)) as mesh:
        first = await mesh.keeper.get(BUYER)
        asked = asyncio.Event()

        async def hang(subject: Subject) -> KeyPair:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        mesh.issuer.fault = hang
        await mesh.clock.advance(2500)
        await asked.wait()
        assert await mesh.keeper.get(BUYER) == first


@pytest.mark.parametrize("wrong", ["name", "key", "root", "expired", "garbage"])
async def test_a_certificate_that_does_not_fit_is_not_used(tmp_path: Path, wrong: str) -> None:
    async with running(tmp_path / "ca") as mesh:
        tresor = mesh.issuer.tresor
        other = Issuer(tmp_path / "other", mesh.clock, timedelta(hours=1)).tresor

        async def answer(subject: Subject) -> KeyPair:
            good = await tresor.issue(BUYER)
            match wrong:
                case "name":
                    return await tresor.issue(THIEF)
                case "key":
                    key = (await tresor.issue(BUYER)).private_key
                    return KeyPair(good.certificate, key, good.not_before, good.not_after)
                case "root":
                    return await other.issue(BUYER)
                case "expired":
                    now = mesh.clock.now()
                    return KeyPair(good.certificate, good.private_key, good.not_before, now)
                case _:
                    return KeyPair(b"garbage", b"garbage", good.not_before, good.not_after)

        mesh.issuer.fault = answer
        with pytest.raises(IssuerError, match="was refused") as caught:
            await mesh.keeper.get(BUYER)
        assert b"PRIVATE" not in repr(caught.value).encode()
        assert mesh.outcomes == ["failed"]


async def test_a_certificate_that_a_proxy_holds_is_renewed_when_it_falls_due(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "ca") as mesh:
        now = mesh.clock.now()
        assert mesh.keeper.adopt(BUYER, now, now + timedelta(hours=24))
        assert mesh.keeper.current(BUYER) is None
        assert mesh.keeper.expires(BUYER) == now + timedelta(hours=24)
        with mesh.keeper.subscribe() as renewals:
            await mesh.clock.advance(16 * 3600 + 60)
            subject, pair = await anext(renewals)
        assert subject == BUYER and mesh.keeper.current(BUYER) == pair


async def test_what_is_known_already_or_due_is_not_taken_over(tmp_path: Path) -> None:
    async with running(tmp_path / "ca") as mesh:
        now = mesh.clock.now()
        await mesh.keeper.get(BUYER)
        assert not mesh.keeper.adopt(BUYER, now, now + timedelta(hours=24))
        assert not mesh.keeper.adopt(THIEF, now - timedelta(hours=23), now + timedelta(hours=1))
        assert not mesh.keeper.adopt(THIEF, now + timedelta(hours=1), now + timedelta(hours=24))
