"""Two control planes of one mesh, as they run in a cluster: the one that does not lead serves a proxy."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.mesh.serving import ServedProxy
from tests.waiting import eventually

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.core.install.names import API_PORT
from osm.core.xds import types
from osm.kubernetes.refusals import RefusalTimes

from .churning import CLIENT, MERGE, Document, Shop, service, shop, split
from .lives import life, without_doors
from .statuses import said

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

LEADER = "osm-controller-1"


@pytest_asyncio.fixture(loop_scope="session")
async def town(cluster: ControlPlane, tmp_path: Path) -> AsyncIterator[Shop]:
    """Its process does not lead: another control plane, in this process, does."""
    with without_doors():
        async with shop(cluster, tmp_path) as made:
            await made.create("services", service("till"))
            await made.process.kill()
            async with life(cluster, tmp_path, made.installation, pod=LEADER) as leader:
                mesh = await leader.mesh

                def leads() -> bool:
                    return mesh.api.view().replicas[0].leads

                await eventually(leads, "the other leads", within=30)
                await made.process.start()
                yield made


async def has_everything(proxy: ServedProxy) -> None:
    kinds = (types.CLUSTER, types.LISTENER, types.SECRET, types.VIRTUAL_HOST, types.ENDPOINT)
    await eventually(
        lambda: all(proxy.client.held.get(kind) for kind in kinds), "configuration", within=20
    )
    await asyncio.sleep(1)


def weighted(weight: int) -> Document:
    return {
        "service": "cart",
        "backends": [{"service": "cart", "weight": weight}, {"service": "till", "weight": 1}],
    }


async def refuse_next(proxy: ServedProxy, change: Awaitable[object], why: str) -> None:
    """Refuse the routes that come of a change; after that, take everything again."""
    proxy.acknowledges, before = False, len(proxy.responses)
    await change

    def routes() -> list[str]:
        return [r.nonce for r in proxy.responses[before:] if r.type_url == types.VIRTUAL_HOST]

    await eventually(lambda: bool(routes()), "routes", within=20)
    refusal = discovery_pb2.DeltaDiscoveryRequest(
        type_url=types.VIRTUAL_HOST, response_nonce=routes()[0]
    )
    refusal.error_detail.message = why
    await proxy.send(refusal)
    proxy.acknowledges = True


async def programmed(town: Shop) -> tuple[str, str]:
    """What the condition of the split is, and says."""
    found = json.loads(await town.server.get(town.path("trafficsplits", "cart")))
    messages = [
        each["message"]
        for each in found.get("status", {}).get("conditions", ())
        if each["type"] == "Programmed"
    ]
    return said(found).get("Programmed", ""), "".join(messages)


async def test_what_a_proxy_of_the_other_refuses_stands_in_the_object_while_it_does(
    town: Shop,
) -> None:
    async def is_good() -> bool:
        return (await programmed(town))[0] == "True Programmed"

    async def is_refused() -> bool:
        return (await programmed(town))[0] == "False RefusedByProxy"

    def change(weight: int) -> Awaitable[object]:
        path = town.path("trafficsplits", "cart")
        return town.server.request("PATCH", path, None, {"spec": weighted(weight)}, MERGE)

    await town.create("trafficsplits", split("cart"))
    await eventually(is_good, "it is good")
    async with town.connected() as proxy:
        await has_everything(proxy)
        view = await town.process.json("/api/v1/view", API_PORT)
        assert view["replicas"] == [{"name": "osm-controller-0", "proxies": 1, "leads": False}]

        await refuse_next(proxy, change(1), "weights: too many")
        took = await eventually(is_refused, "it is refused")
        assert took < 8
        who = f"proxy {town.namespace}/{CLIENT} refused what this says: weights: too many"
        assert who in (await programmed(town))[1]

        await change(2)
        await eventually(is_good, "it is mended")

        await refuse_next(proxy, change(3), "once more")
        await eventually(is_refused, "it is refused again")
        await town.process.kill()
    took = await eventually(is_good, "the replica that is gone counts no more", within=40)
    assert took > RefusalTimes().lasts_s - 2 * RefusalTimes().renew_s
    where = f"/api/v1/namespaces/{town.installation.namespace}/configmaps"
    name = town.installation.refusals

    async def is_removed() -> bool:
        return not json.loads(await town.server.get(f"{where}/{name}")).get("data")

    await eventually(is_removed, "its key")
