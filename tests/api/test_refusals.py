"""What the proxies of other replicas refuse stands in objects, too, while it lasts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy
from tests.waiting import eventually

from osm.core.install.names import Installation
from osm.core.model.groups import SPLIT
from osm.core.model.origin import Origin
from osm.core.status.refused import TOLD_OBJECTS, RefusedObject, Told, decoded
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.refusals import RefusalTimes
from osm.runtime.writer import write_while_leading

from .keeping import found, running
from .statuses import apply, read, said, split
from .test_writer import TIMES, World, mesh, version, with_its_rights
from .watching import watching

__all__ = ["mesh"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

SHORT = RefusalTimes(look_s=0.2, pause_s=0.4, renew_s=1.0, lasts_s=4.0, read_s=0.4)
PROGRAMMED, REFUSED = "True Programmed", "False RefusedByProxy"
LEADER, OTHER = "osm-controller-a", "osm-controller-b"


class Replica:
    """One whose proxies refuse what a test says."""

    def __init__(self, world: World, namespace: str) -> None:
        self.leads: list[bool] = []
        self.refused: list[RefusedObject] = []
        self.inputs = msgspec.structs.replace(world.inputs, refused=lambda: tuple(self.refused))
        self._namespace = namespace

    def refuse(self, name: str, proxy: str = "shop/cart-0", message: str = "too long") -> None:
        origin = Origin("TrafficSplit", self._namespace, name, "spec.backends", SPLIT)
        self.refused.append(RefusedObject(origin, proxy, message))


Start = Callable[..., AbstractAsyncContextManager[Replica]]


@pytest_asyncio.fixture(loop_scope="session")
async def start(cluster: ControlPlane, mesh: Installation, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a replica, with the rights of an installation if nothing else is said."""
    rights = await with_its_rights(cluster, mesh, tmp_path / "kubeconfig")
    async with watching(cluster.kubeconfig, ("trafficsplits",)) as copy:
        await eventually(lambda: copy.changes > 0, "objects")
        world = World(copy, mesh, cluster.authority.read_bytes())

        @asynccontextmanager
        async def started(name: str, kubeconfig: Path = rights) -> AsyncIterator[Replica]:
            server = ApiServer.open(kubeconfig)
            made = Replica(world, mesh.namespace)
            work = write_while_leading(
                server,
                mesh,
                name,
                made.inputs,
                observe=made.leads.append,
                rng=Random(1),
                times=TIMES,
                refusal_times=SHORT,
            )
            try:
                async with running(work):
                    yield made
            finally:
                await server.close()

        yield started


class Stored:
    """What stands in the API server."""

    def __init__(self, cluster: ControlPlane, mesh: Installation) -> None:
        self._cluster = cluster
        self._mesh = mesh

    async def split(self, name: str = "split") -> tuple[str, str]:
        """Its condition `Programmed`, and what that says."""
        found = await read(self._cluster, self._mesh.namespace, name)
        message = [
            each["message"]
            for each in found.get("status", {}).get("conditions", ())
            if each["type"] == "Programmed"
        ]
        return said(found).get("Programmed", ""), "".join(message)

    async def is_good(self) -> bool:
        return (await self.split())[0] == PROGRAMMED

    async def is_refused(self) -> bool:
        return (await self.split())[0] == REFUSED

    async def told(self) -> dict[str, Told]:
        where = ("configmap", self._mesh.refusals, "-n", self._mesh.namespace)
        document = await found(self._cluster, *where)
        data = (document or {}).get("data", {})
        return {name: decoded(text) for name, text in data.items()}


@pytest_asyncio.fixture(loop_scope="session")
async def stored(cluster: ControlPlane, mesh: Installation) -> Stored:
    await apply(cluster, mesh.namespace, split())
    return Stored(cluster, mesh)


async def test_what_another_replica_hears_stands_in_the_object_until_it_is_mended(
    start: Start, stored: Stored
) -> None:
    async with start(LEADER) as leader:
        await eventually(stored.is_good, "it is good")
        assert leader.leads == [True]
        async with start(OTHER) as other:
            other.refuse("split", "shop/cart-7", "weights: too many")
            await eventually(stored.is_refused, "it is refused", within=5)
            what = "[OSM902] spec.backends: proxy shop/cart-7 refused what this says: weights: too many"
            assert (await stored.split())[1] == what
            leader.refuse("split", "shop/cart-1", "no such cluster")

            async def says_both() -> bool:
                return "proxy shop/cart-1 and another refused" in (await stored.split())[1]

            await eventually(says_both, "of both", within=8)
            leader.refused.clear()
            other.refused.clear()
            await eventually(stored.is_good, "it is mended", within=8)
            assert await stored.told() == {}
            assert other.leads == []


async def test_a_replica_that_died_counts_until_its_time_is_over(
    start: Start, stored: Stored
) -> None:
    async with start(LEADER):
        async with start(OTHER) as other:
            other.refuse("split")
            await eventually(stored.is_refused, "it is refused")
            await asyncio.sleep(2 * SHORT.lasts_s)
            assert await stored.is_refused(), "while it renews"
        took = await eventually(stored.is_good, "it counts no more")
        assert SHORT.lasts_s - SHORT.renew_s - 0.5 < took < SHORT.lasts_s + 4

        async def is_removed() -> bool:
            return await stored.told() == {}

        await eventually(is_removed, "its key", within=3)


async def test_the_next_leader_knows_what_the_last_one_did(
    cluster: ControlPlane, mesh: Installation, proxy: FaultProxy, start: Start, stored: Stored
) -> None:
    """The proxies of the one that ends go to others, and may refuse the same there. Also when it can
    read them only after a while.
    """
    bad = iter((Fault(status=503), Fault(status=429), Fault(mute_after_s=0.0)))
    proxy.choose = lambda asked: next(bad, None) if _is_of_refusals(asked) else None
    what = ("trafficsplit", "split", "-n", mesh.namespace)
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(start(OTHER))
        await eventually(lambda: old.leads == [True], "the first leads")
        async with start(LEADER, proxy.kubeconfig) as new:
            old.refuse("split")
            await eventually(stored.is_refused, "it is refused")

            async def is_told() -> bool:
                return OTHER in await stored.told()

            await eventually(is_told, "also what who leads knows")
            before = await version(cluster, *what)
            await stack.aclose()
            await eventually(lambda: new.leads == [True], "the next leads", within=5)
            await asyncio.sleep(SHORT.lasts_s - SHORT.renew_s - 1)
            assert await version(cluster, *what) == before
            await eventually(stored.is_good, "its proxies refuse nothing elsewhere", within=8)


async def test_writes_are_few_whatever_proxies_do(
    proxy: FaultProxy, start: Start, stored: Stored
) -> None:
    """None at all where nothing is refused; and as many as there are renewals where it does not change."""

    def patches(since: int = 0) -> int:
        return sum(map(_is_of_refusals, proxy.asked[since:])) - reads(since)

    def reads(since: int = 0) -> int:
        return sum(_is_of_refusals(a) and a.method == "GET" for a in proxy.asked[since:])

    async with start(LEADER):
        await eventually(stored.is_good, "it is good")
        async with start(OTHER, proxy.kubeconfig) as other:
            await asyncio.sleep(2)
            assert (patches(), reads()) == (0, 0)
            other.refuse("split")
            await asyncio.sleep(5)
            assert 4 <= patches() <= 6
            started, before = asyncio.get_running_loop().time(), len(proxy.asked)
            while asyncio.get_running_loop().time() - started < 4:
                other.refused.clear()
                other.refuse("split", message=f"{started}")
                await asyncio.sleep(0.05)
            assert patches(before) <= 4 / SHORT.pause_s + 1
            other.refused.clear()
            await eventually(stored.is_good, "it is mended")
            before = len(proxy.asked)
            await asyncio.sleep(2)
            assert patches(before) == 0


async def test_who_leads_reads_seldom_and_keeps_what_it_knows_while_it_cannot(
    proxy: FaultProxy, start: Start, stored: Stored
) -> None:
    async with start(LEADER, proxy.kubeconfig), start(OTHER) as other:
        await eventually(stored.is_good, "it is good")
        other.refuse("split")
        await eventually(stored.is_refused, "it is refused")
        before = len(proxy.asked)
        await asyncio.sleep(4)
        read = [asked for asked in proxy.asked[before:] if _is_of_refusals(asked)]
        assert len(read) <= 4 / SHORT.read_s + 1
        proxy.choose = lambda asked: Fault(status=500) if _is_of_refusals(asked) else None
        await asyncio.sleep(2 * SHORT.lasts_s)
        assert await stored.is_refused()
        other.refused.clear()
        await asyncio.sleep(1)
        assert await stored.is_refused()
        proxy.choose = lambda _: None
        await eventually(stored.is_good, "it is mended")


async def test_one_without_the_right_to_read_them_writes_all_the_same(
    proxy: FaultProxy, start: Start, stored: Stored
) -> None:
    """As after an upgrade that did not bring the new rights."""
    proxy.choose = lambda asked: Fault(status=403) if _is_of_refusals(asked) else None
    async with start(LEADER, proxy.kubeconfig) as leader:
        await eventually(stored.is_good, "it is good")
        leader.refuse("split")
        await eventually(stored.is_refused, "its own it knows", within=8)
        assert sum(map(_is_of_refusals, proxy.asked)) <= 3


async def test_somebody_deletes_it(
    cluster: ControlPlane, mesh: Installation, start: Start, stored: Stored
) -> None:
    async with start(LEADER), start(OTHER) as other:
        other.refuse("split")
        await eventually(stored.is_refused, "it is refused")
        await cluster.kubectl("delete", "configmap", mesh.refusals, "-n", mesh.namespace)

        async def is_back() -> bool:
            return OTHER in await stored.told()

        await eventually(is_back, "it is told again", within=5)
        await eventually(stored.is_refused, "it is refused")


async def test_more_than_there_is_room_for_is_said(
    cluster: ControlPlane, mesh: Installation, start: Start, stored: Stored
) -> None:
    async with start(LEADER), start(OTHER) as other:
        await eventually(stored.is_good, "it is good")
        for number in range(TOLD_OBJECTS + 3):
            other.refuse(f"s-{number:03}", message="x" * 20)

        async def told() -> Told:
            return (await stored.told()).get(OTHER, Told())

        async def is_told() -> bool:
            return (await told()).left_out == 3

        await eventually(is_told, "what had no room")
        assert len((await told()).refused) == TOLD_OBJECTS
        other.refused.clear()
        await asyncio.sleep(1.5)
        other.refuse("split")
        await eventually(stored.is_refused, "what has room")


def _is_of_refusals(asked: Asked) -> bool:
    return asked.path.endswith("-refusals")
