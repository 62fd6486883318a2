"""API servers that answer badly are asked seldom, and take nothing back (rows K7 and K9)."""

import asyncio
from random import Random

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy

from .conftest import eventually
from .test_watching import apply, same, service
from .watching import watching

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAD_S = 5
FAULTS = (
    Fault(status=500),
    Fault(status=503),
    Fault(status=429, retry_after_s=1),
    Fault(refuse=True),
    Fault(mute_after_s=0.0),
    Fault(cut_after_s=0.05),
)


async def test_half_of_all_answers_are_bad_and_the_copy_stays_whole(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await apply(cluster, namespace, service("a"))
    rng = Random(1)
    async with watching(proxy.kubeconfig, ("services",)) as copy:
        await eventually(lambda: same(cluster, copy, namespace), "the present")
        copy.fewest, before = -1, len(proxy.asked)
        proxy.choose = lambda _: rng.choice(FAULTS) if rng.random() < 0.5 else None
        proxy.cut_all()
        for number in range(BAD_S):
            await apply(cluster, namespace, service(f"s{number}"))
            await asyncio.sleep(1)
            proxy.cut_all()
        assert len(proxy.asked) - before <= 5 * BAD_S
        proxy.choose = lambda _: None
        proxy.cut_all()
        await eventually(lambda: same(cluster, copy, namespace), "all the same", within=30)
        assert not copy.backwards and copy.fewest != 0
        assert len(copy.names("Service", namespace)) == BAD_S + 1


async def test_without_the_right_to_one_kind_the_others_are_followed(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    def choose(asked: Asked) -> Fault | None:
        return Fault(status=403) if asked.path.endswith("/pods") else None

    proxy.choose = choose
    async with watching(proxy.kubeconfig, ("services", "pods")) as copy:
        await eventually(lambda: copy.changes > 0, "the first change")
        assert list(copy.source.problems) == ["pods"]
        await apply(cluster, namespace, service("a"))
        await eventually(lambda: copy.names("Service", namespace) == ["a"], "it is followed")
        assert sum(asked.path.endswith("/pods") for asked in proxy.asked) <= 2
