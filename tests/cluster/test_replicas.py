"""Three replicas of the control plane: proxies are served by each of them, and one writes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
import pytest_asyncio
from tests.kubernetes.node import Node

from osm.core.explain.view import ReplicaView

from .cast import OPEN
from .load import load
from .mesh import Mesh
from .pods import run_in_pod
from .test_faults import RATE, none_failed, serve
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLICAS = 3
PROXIES = 5


@pytest_asyncio.fixture(loop_scope="session")
async def replicated(mesh: Mesh) -> AsyncIterator[Mesh]:
    await mesh.scale(REPLICAS)
    yield mesh
    await mesh.configure(**OPEN)
    await mesh.scale(1)


async def replicas_of(mesh: Mesh) -> Sequence[ReplicaView]:
    """Those that answer `osm status`, which ends with 1 while anything is amiss."""
    said = await mesh.try_osm("status", "-o", "json")
    found = json.loads(said.out)["mesh"].get("replicas", []) if said.out else []
    return msgspec.convert(found, list[ReplicaView])


async def test_the_one_that_writes_dies_and_another_one_goes_on(
    node: Node, replicated: Mesh, meshed: str
) -> None:
    url = await serve(node, meshed, replicas=PROXIES)
    before = await replicas_of(replicated)
    assert len(before) == REPLICAS
    assert sum(each.proxies for each in before) >= PROXIES
    (leader,) = (each.name for each in before if each.leads)

    async with load(node, meshed, url, rate=RATE) as sender:
        await asyncio.sleep(5)
        kill = ("delete", "pod", leader, "--grace-period=0", "--force")
        await node.kubectl("--namespace", replicated.namespace, *kill)

        async def another_leads() -> bool:
            leads = [each.name for each in await replicas_of(replicated) if each.leads]
            return len(leads) == 1 and leads != [leader]

        await eventually(another_leads, "another replica writes", within=60, every=1)
        await replicated.rolled_out()
        none_failed(await sender.counts(), RATE * 5)

        # What changes now reaches every server's proxy, whichever replica it is connected to.
        await replicated.configure(enablePermissiveTrafficPolicyMode=False)
        await all_answer(node, meshed, sender.name, url, "403")
        await replicated.allow(meshed, "default", "default")
        await all_answer(node, meshed, sender.name, url, "200")


async def all_answer(node: Node, namespace: str, pod: str, url: str, code: str) -> None:
    """Wait until a pod is answered so, of so many requests that every server has some."""
    seen: set[str] = set()
    asked = f"curl -s -o /dev/null -w '%{{http_code}}\\n' {url}"
    ask = ("bash", "-c", f"for i in {{1..{PROXIES * 8}}}; do {asked}; done; true")

    async def do() -> bool:
        nonlocal seen
        seen = set((await run_in_pod(node, namespace, pod, *ask, container="load")).split())
        return seen == {code}

    try:
        await eventually(do, "", within=30)
    except AssertionError:
        raise AssertionError(f"the servers answer {seen}, not {code}") from None
