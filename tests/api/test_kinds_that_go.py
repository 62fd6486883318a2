"""Kinds of policies go, come back, and may not be read: nothing is open that was closed (row K9), and an
API server that does not answer is said to be away, while proxies are served (row K7).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx2
import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault
from tests.waiting import eventually

from osm.core.install.names import API_PORT
from osm.testing.builders import (
    Document,
    egress,
    http_group,
    ingress_backend,
    service_account,
    split,
    target,
)

from .churning import Shop, service, shop
from .processes import LOOPBACK

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

IN_THE_MESH = ("buyer-0", "cart.{}:80")
FROM_OUTSIDE = ("192.0.2.9", "cart.{}:8080")
TO_A_HOST = ("buyer-0", "plain.example.com")
TO_A_MATCH = ("buyer-0", "matched.example.com")
WAYS = (IN_THE_MESH, FROM_OUTSIDE, TO_A_HOST, TO_A_MATCH)
CREATED = "2026-01-01T00:00:00Z"
GROUPS = "httproutegroups.specs.smi-spec.io"
OTHERS = (
    "traffictargets.access.smi-spec.io",
    "trafficsplits.split.smi-spec.io",
    "egresses.policy.openservicemesh.io",
    "ingressbackends.policy.openservicemesh.io",
)


def policies(namespace: str) -> Iterator[Document]:
    yield http_group("all", namespace=namespace)
    yield target("buy", "default", ["buyer"], "HTTPRouteGroup/all", namespace=namespace)
    backend = {"name": "cart", "port": {"number": 8080, "protocol": "http"}}
    outside = {"kind": "IPRange", "name": "192.0.2.0/24"}
    yield ingress_backend("in", [backend], [outside], namespace=namespace, created=CREATED)
    yield egress("plain", ["buyer"], ["http:80"], "plain.example.com", namespace=namespace)
    yield egress(
        *("matched", ["buyer"], ["http:80"], "matched.example.com"),
        namespace=namespace,
        groups=["all"],
    )
    yield split("canary", "cart", {"cart-v2": 100}, namespace=namespace, created=CREATED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(
    cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    async with shop(cluster, tmp_path_factory.mktemp("shop")) as found:
        await found.create("services", service("cart-v2", "cart"))
        account = dict(service_account("buyer", namespace=found.namespace))
        await found.create("serviceaccounts", account)
        await found.run_pod("buyer-0", "10.88.2.1", "buyer", account="buyer")
        yield found
        assert found.process.is_running and "Traceback" not in found.process.log()


async def write(town: Shop) -> None:
    """All policies, as soon as their kinds are there."""
    items = {"apiVersion": "v1", "kind": "List", "items": [*policies(town.namespace)]}
    loop = asyncio.get_running_loop()
    until = loop.time() + 60
    while True:
        try:
            await town.cluster.kubectl("apply", "-f", "-", text=json.dumps(items))
        except RuntimeError:
            if loop.time() > until:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def are_open(town: Shop, *ways: tuple[str, str]) -> bool:
    """Whether these are, and no others."""
    return await explained(town) == set(ways)


async def explained(town: Shop) -> set[tuple[str, str]]:
    url = f"http://{LOOPBACK}:{API_PORT}/api/v1/explain"
    found = set()
    async with httpx2.AsyncClient(timeout=20) as client:
        for source, written in WAYS:
            destination = written.format(town.namespace)
            asked = {"source": source, "destination": destination, "method": "GET"}
            answer = (await client.post(url, json=asked)).json()
            if answer["allowed"]:
                found.add((source, written))
    return found


async def is_split(town: Shop) -> bool:
    """Whether the split leads to its backend."""
    url = f"http://{LOOPBACK}:{API_PORT}/api/v1/explain"
    destination = IN_THE_MESH[1].format(town.namespace)
    asked = {"source": IN_THE_MESH[0], "destination": destination, "method": "GET"}
    async with httpx2.AsyncClient(timeout=20) as client:
        steps = (await client.post(url, json=asked)).json()["steps"]
    return any("cart-v2" in step["text"] for step in steps)


async def codes(town: Shop) -> set[str]:
    """Of what is wrong with the mesh."""
    view = await town.process.json("/api/v1/view", API_PORT)
    return {finding["code"] for finding in view["findings"]}


async def test_nothing_is_open_without_the_kinds_that_opened_it(town: Shop) -> None:
    await write(town)
    await eventually(partial(are_open, town, *WAYS), "all is open", within=30)
    assert await is_split(town)
    # What names a group that is gone grants nothing; it does not grant everything.
    await town.cluster.kubectl("delete", "crd", GROUPS)
    await eventually(partial(are_open, town, FROM_OUTSIDE, TO_A_HOST), "no group", within=30)
    assert await is_split(town), "who may call it or not, this is where it would go"
    await town.cluster.kubectl("delete", "crd", *OTHERS)
    await eventually(partial(are_open, town), "nothing is open", within=30)
    assert not await is_split(town)
    # The mesh writes its definitions again; the same control plane follows what is made then.
    await write(town)
    await eventually(partial(are_open, town, *WAYS), "all is open again", within=30)
    assert await is_split(town)


async def test_what_may_not_be_read_any_more_stays_as_it_was_and_that_is_said(town: Shop) -> None:
    """Also what is deleted meanwhile, until it may be read again."""

    def choose(asked: Asked) -> Fault | None:
        return Fault(status=403) if asked.path.endswith("/traffictargets") else None

    await write(town)
    await eventually(partial(are_open, town, *WAYS), "all is open", within=30)
    assert not {"OSM906", "OSM907"} & await codes(town)
    town.proxy.choose = choose
    town.proxy.cut_all()

    async def is_said() -> bool:
        return "OSM906" in await codes(town)

    await eventually(is_said, "it is said", within=30)
    await town.cluster.kubectl("delete", "egress", "plain", "-n", town.namespace)
    rest = (IN_THE_MESH, FROM_OUTSIDE, TO_A_MATCH)
    await eventually(partial(are_open, town, *rest), "others are followed", within=30)
    await town.cluster.kubectl("delete", "traffictarget", "buy", "-n", town.namespace)
    await asyncio.sleep(3)
    assert await are_open(town, *rest)
    town.proxy.choose = lambda _: None
    await eventually(partial(are_open, town, *rest[1:]), "it is read again", within=30)

    async def is_said_no_more() -> bool:
        return "OSM906" not in await codes(town)

    await eventually(is_said_no_more, "it is read again")


async def test_an_api_server_that_is_away_is_said_to_be_and_the_mesh_is_ready(town: Shop) -> None:
    """For 20 s, of which 15 are taken for a restart."""
    await write(town)
    await eventually(partial(are_open, town, *WAYS), "all is open", within=30)
    loop = asyncio.get_running_loop()
    began = loop.time()
    town.proxy.choose = lambda _: Fault(status=503)
    town.proxy.cut_all()
    said = False
    while loop.time() - began < 20 or not said:
        assert loop.time() - began < 40, "it is said"
        assert await town.process.is_ready()
        assert await are_open(town, *WAYS)
        said = "OSM907" in await codes(town)
        await asyncio.sleep(0.5)
    town.proxy.choose = lambda _: None

    async def is_well() -> bool:
        return "OSM907" not in await codes(town)

    await eventually(is_well, "it is back", within=30)
