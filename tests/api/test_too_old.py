"""The API server does not know any more what has happened since a version (row K2)."""

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy
from tests.waiting import eventually

from osm.kubernetes.api_server import ApiServer

from .watching import Copy, watching

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TIMES = 100
"""It says so in two ways, each of them half as often."""
GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
FORMS = (Fault(forged=json.dumps(GONE).encode()), Fault(status=410))


class Services:
    """Those of a namespace, written and read without kubectl, which takes its time to start."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/services"

    async def make(self, name: str) -> None:
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
        await self._server.request("POST", self._path, body=body)

    async def delete(self, name: str) -> None:
        await self._server.request("DELETE", f"{self._path}/{name}")

    async def are_in(self, copy: Copy) -> bool:
        """All of them, in their present form, and no others."""
        items = json.loads(await self._server.get(self._path))["items"]
        there = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in items}
        return there == {
            key.name: manifest.object.metadata.resource_version
            for key, manifest in copy.objects.items()
            if (key.kind, key.namespace) == ("Service", self._namespace)
        }


@pytest_asyncio.fixture(loop_scope="session")
async def services(cluster: ControlPlane, namespace: str) -> AsyncIterator[Services]:
    server = ApiServer.open(cluster.kubeconfig)
    yield Services(server, namespace)
    await server.close()


async def test_it_lists_again_a_hundred_times_and_nothing_is_lost_or_told_twice(
    proxy: FaultProxy, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the pause between lists, which is 5 s."""
    monkeypatch.setattr("osm.kubernetes.reflector.LIST_PAUSE_S", 0.1)
    faults: list[Fault] = []

    def choose(asked: Asked) -> Fault | None:
        return faults.pop() if asked.is_watch and not asked.is_list and faults else None

    proxy.choose = choose
    async with watching(proxy.kubeconfig, ("services",)) as copy:
        await eventually(lambda: copy.changes > 0, "the first change")
        reflector = copy.source.reflectors["services"]
        for number in range(TIMES):
            lists = reflector.lists
            faults.append(FORMS[number % len(FORMS)])
            proxy.cut_all()
            await services.make(f"kept-{number}")
            await services.make(f"gone-{number}")
            await services.delete(f"gone-{number}")
            if number:
                await services.delete(f"kept-{number - 1}")
            await eventually(lambda: not faults, "the watch was refused", within=30)
            await eventually(lambda: services.are_in(copy), "all the same", within=30)
            assert 1 <= reflector.lists - lists <= 2, number
        assert copy.twice == [] and copy.backwards == []


async def test_what_etcd_has_compacted_is_listed_once(
    cluster: ControlPlane, proxy: FaultProxy, services: Services
) -> None:
    """The API server's cache is new, too: it is the real one that refuses."""
    async with watching(proxy.kubeconfig, ("services",)) as copy:
        await services.make("before")
        await eventually(lambda: services.are_in(copy), "what was before")
        lists, copy.fewest = copy.source.reflectors["services"].lists, -1
        proxy.choose = lambda _: Fault(status=503)
        proxy.cut_all()
        for number in range(20):
            await services.make(f"missed-{number}")
        await services.delete("before")
        await compact(cluster)
        await cluster.stop("kube-apiserver")
        await cluster.start("kube-apiserver")
        proxy.choose = lambda _: None
        await eventually(lambda: services.are_in(copy), "all the same", within=30)
        assert copy.source.reflectors["services"].lists - lists == 1
        assert copy.twice == [] and copy.backwards == [] and copy.fewest >= 20


async def compact(cluster: ControlPlane) -> None:
    """Let etcd forget all but the present (its JSON gateway)."""
    url = f"http://127.0.0.1:{cluster.ports.etcd}/v3/kv"
    async with httpx2.AsyncClient() as client:
        found = await client.post(f"{url}/range", json={"key": "AA=="})
        revision = found.json()["header"]["revision"]
        done = await client.post(f"{url}/compaction", json={"revision": revision})
        assert done.status_code == 200, done.text
