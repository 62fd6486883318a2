"""Which replica writes: never two, soon another, whatever happens between them and the API server."""

import asyncio
import json
from random import Random

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Fault
from tests.waiting import eventually

from osm.kubernetes.lease import LeaseTimes
from osm.kubernetes.writing import NotLeading

from .contenders import SHORT, contenders

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def the_lease(cluster: ControlPlane, namespace: str) -> dict[str, object]:
    text = await cluster.kubectl("get", "lease", "writer", "-n", namespace, "-o", "json")
    spec: dict[str, object] = json.loads(text)["spec"]
    return spec


async def test_one_leads_and_gives_the_lease_back_when_it_ends(
    cluster: ControlPlane, namespace: str
) -> None:
    """With the product's own times."""
    async with contenders(cluster, namespace, 2, LeaseTimes()) as (first, second):
        await asyncio.sleep(3)
        assert first.leads and not second.leads and second.leadership.holder == first.name
        spec = await the_lease(cluster, namespace)
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == (first.name, 15)
        assert spec["leaseTransitions"] == 0
        await first.stop()
        assert (await the_lease(cluster, namespace))["holderIdentity"] == ""
        await eventually(lambda: second.leads, "the second leads", within=3)
        assert (await the_lease(cluster, namespace))["leaseTransitions"] == 1


async def test_one_that_is_killed_is_followed_within_20_s(
    cluster: ControlPlane, namespace: str
) -> None:
    """With the product's own times. Killed: nothing more comes of it, and it gives nothing back."""
    async with contenders(cluster, namespace, 2, LeaseTimes()) as (first, second):
        await asyncio.sleep(1)
        first.cut_off(Fault(refuse=True))
        await first.stop()
        took = await eventually(lambda: second.leads, "the second leads", within=20)
        assert took > 12  # it could not know earlier


@pytest.mark.parametrize(
    "fault",
    [Fault(mute_after_s=0.0), Fault(status=500)],
    ids=["hangs", "500"],
)
async def test_one_that_is_cut_off_stops_before_another_begins(
    cluster: ControlPlane, namespace: str, fault: Fault
) -> None:
    async with contenders(cluster, namespace, 2) as (first, second):
        await asyncio.sleep(0.5)
        first.cut_off(fault)
        await eventually(lambda: second.leads, "the second leads", within=6)
        assert first.ended[-1] < second.began[-1]
        first.proxy.choose = lambda _: None
        await asyncio.sleep(2)
        assert second.leads and not first.leads


async def test_a_fault_that_is_shorter_than_the_deadline_takes_the_lead_from_nobody(
    cluster: ControlPlane, namespace: str
) -> None:
    async with contenders(cluster, namespace, 2) as (first, second):
        for fault in (Fault(status=500), Fault(mute_after_s=0.0), Fault(refuse=True)):
            first.cut_off(fault)
            await asyncio.sleep(0.7)
            first.proxy.choose = lambda _: None
            first.proxy.cut_all()
            await asyncio.sleep(1.5)
            assert first.leads and not second.leads
        assert len(first.began) == 1


async def test_an_answer_that_was_lost_is_no_lost_lease(
    cluster: ControlPlane, namespace: str
) -> None:
    """The renewal arrived, and nobody heard that it did."""
    async with contenders(cluster, namespace, 2) as (first, second):
        cut = [Fault(cut_after_s=0.0) for _ in range(2)]
        first.proxy.choose = lambda asked: cut.pop() if asked.method == "PUT" and cut else None
        first.proxy.cut_all()
        await eventually(lambda: not cut, "answers were lost")
        await asyncio.sleep(2.5)
        assert first.leads and len(first.began) == 1 and not second.began


async def test_somebody_leads_again_after_any_row_of_faults_and_never_two(
    cluster: ControlPlane, namespace: str
) -> None:
    rng = Random(7)
    faults = (
        Fault(status=500),
        Fault(mute_after_s=0.0),
        Fault(refuse=True),
        Fault(cut_after_s=0.1),
    )
    async with contenders(cluster, namespace, 3) as replicas:
        for _ in range(9):
            leaders = [each for each in replicas if each.leads]
            rng.choice(leaders or replicas).cut_off(rng.choice(faults))
            healed = rng.choice(replicas)
            healed.proxy.choose = lambda _: None
            healed.proxy.cut_all()
            await asyncio.sleep(rng.uniform(0.2, 3.5))
        assert sum(len(each.began) for each in replicas) >= 3
        for each in replicas:
            each.proxy.choose = lambda _: None
            each.proxy.cut_all()
        await eventually(lambda: any(each.leads for each in replicas), "somebody leads", within=8)


async def test_a_process_that_stood_still_may_not_write_when_it_wakes(
    cluster: ControlPlane, namespace: str
) -> None:
    """Its timers have not run yet: the clock alone says that its time is over."""
    asleep = 0.0
    async with contenders(cluster, namespace, 1) as (first,):
        await first.stop()
        loop = asyncio.get_running_loop()
        first.prepare(namespace, SHORT, now_s=lambda: loop.time() + asleep)
        first.start()
        await eventually(lambda: first.leads, "it leads")
        write = first.leadership.fence(first.server.request)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        body = {"metadata": {"name": "a"}}
        await write("POST", path, None, body)
        asleep = 60.0
        with pytest.raises(NotLeading):
            await write("POST", path, None, body)


@pytest.mark.parametrize("stamp", ["1971-01-01T00:00:00.000000Z", "2199-01-01T00:00:00.000000Z"])
async def test_what_another_clock_wrote_is_not_believed(
    cluster: ControlPlane, namespace: str, stamp: str
) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "writer"},
        "spec": {"holderIdentity": "x", "leaseDurationSeconds": 1, "renewTime": stamp},
    }
    await cluster.kubectl("create", "-n", namespace, "-f", "-", text=json.dumps(lease))
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with contenders(cluster, namespace, 1) as (first,):
        assert 3 <= first.began[0] - started < 5


async def test_a_lease_that_somebody_deletes_is_made_again(
    cluster: ControlPlane, namespace: str
) -> None:
    async with contenders(cluster, namespace, 2) as (first, second):
        for _ in range(3):
            await cluster.kubectl("delete", "lease", "writer", "-n", namespace)
            await asyncio.sleep(1.5)
            assert [first.leads, second.leads].count(True) == 1
        assert (await the_lease(cluster, namespace))["holderIdentity"]


async def test_one_that_makes_a_mistake_lets_the_others_try(
    cluster: ControlPlane, namespace: str
) -> None:
    async with contenders(cluster, namespace, 2) as (first, second):
        first.mistake = ValueError("a mistake of ours")
        await eventually(lambda: second.leads, "the second leads", within=2)
        first.mistake = None
        await second.stop()
        await eventually(lambda: first.leads, "the first goes on", within=8)
