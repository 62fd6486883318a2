"""Events on a real API server: how they read, and how few there are."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Fault, FaultProxy
from tests.waiting import eventually

from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.events import EventWriter, Happening, Regarding

from .keeping import running

pytestmark = pytest.mark.asyncio(loop_scope="session")


def happening(namespace: str, note: str = "it has no ports", name: str = "cart") -> Happening:
    return Happening(Regarding("v1", "Service", name, namespace), "MeshWarning", note)


async def events(cluster: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    """Of ours."""
    text = await cluster.kubectl("get", "events", "-n", namespace, "-o", "json")
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return [each for each in items if each["source"].get("component") == "osm-controller"]


async def counts(cluster: ControlPlane, namespace: str) -> list[int]:
    return [each["count"] for each in await events(cluster, namespace)]


@asynccontextmanager
async def telling(
    kubeconfig: Path, *, counted_s: float = 0.5, lasting_s: float = 600.0
) -> AsyncIterator[EventWriter]:
    server = ApiServer.open(kubeconfig)
    writer = EventWriter(
        server.request, "controller-0", Random(1), counted_s=counted_s, lasting_s=lasting_s
    )
    async with running(writer.run()):
        yield writer
    await server.close()


def writes(proxy: FaultProxy) -> int:
    return len(proxy.asked)


async def test_people_see_it_where_they_look(cluster: ControlPlane, namespace: str) -> None:
    await cluster.kubectl("create", "service", "clusterip", "cart", "--tcp=80", "-n", namespace)
    text = await cluster.kubectl("get", "service", "cart", "-n", namespace, "-o", "json")
    uid = json.loads(text)["metadata"]["uid"]
    async with telling(cluster.kubeconfig) as writer:
        regarding = Regarding("v1", "Service", "cart", namespace, uid)
        writer.tell(Happening(regarding, "MeshError", "[OSM130] spec.ports: 0 is no port"))
        await eventually(lambda: _count_is(cluster, namespace, [1]), "an Event")
    shown = await cluster.kubectl("describe", "service", "cart", "-n", namespace)
    line = shown.rstrip().splitlines()[-1].split(maxsplit=4)
    assert [*line[:2], *line[3:]] == [
        *("Warning", "MeshError", "osm-controller"),
        "[OSM130] spec.ports: 0 is no port",
    ]


async def _count_is(cluster: ControlPlane, namespace: str, wanted: list[int]) -> bool:
    return sorted(await counts(cluster, namespace)) == wanted


async def test_the_same_is_one_event_with_a_count(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with telling(proxy.kubeconfig) as writer:
        for _ in range(20):
            writer.tell(happening(namespace))
            await asyncio.sleep(0.1)
        await eventually(lambda: _count_is(cluster, namespace, [20]), "all are counted")
        assert writes(proxy) <= 7
        writer.tell(happening(namespace, "something else"))
        await eventually(lambda: _count_is(cluster, namespace, [1, 20]), "another is another")


async def test_the_next_one_who_leads_goes_on_counting(
    cluster: ControlPlane, namespace: str
) -> None:
    for _ in range(2):
        async with telling(cluster.kubeconfig) as writer:
            for _ in range(3):
                writer.tell(happening(namespace))
            await eventually(lambda: _count_is(cluster, namespace, [3]), "told")
    async with telling(cluster.kubeconfig) as writer:
        writer.tell(happening(namespace))
        await asyncio.sleep(1)
        writer.tell(happening(namespace))
        await eventually(lambda: _count_is(cluster, namespace, [4]), "counted on")


async def test_what_lasts_is_told_once_and_again_after_a_long_time(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with telling(proxy.kubeconfig, lasting_s=2.0) as writer:
        lasting = [happening(namespace, note) for note in ("a", "b")]
        for _ in range(18):
            writer.keep(lasting)
            await asyncio.sleep(0.1)
        assert await _count_is(cluster, namespace, [1, 1]) and writes(proxy) == 2
        for _ in range(8):
            writer.keep(lasting)
            await asyncio.sleep(0.1)
        await eventually(lambda: _count_is(cluster, namespace, [2, 2]), "again")
        assert writes(proxy) == 4


async def test_one_object_does_not_drown_the_others(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    async with telling(proxy.kubeconfig) as writer:
        writer.keep([happening(namespace, f"mistake {n}") for n in range(500)])
        writer.tell(happening(namespace, name="other"))
        await eventually(lambda: writer.queue.waiting == 0, "all that may be are told")
        await asyncio.sleep(0.5)
        about = [each["involvedObject"]["name"] for each in await events(cluster, namespace)]
        assert (about.count("cart"), about.count("other")) == (25, 1)
        assert writer.dropped == 475 and writes(proxy) == 26


async def test_what_belongs_to_no_namespace_is_told_in_default(
    cluster: ControlPlane, namespace: str
) -> None:
    api = "admissionregistration.k8s.io/v1"
    regarding = Regarding(api, "MutatingWebhookConfiguration", namespace)
    async with telling(cluster.kubeconfig) as writer:
        writer.tell(Happening(regarding, "Restored", "as before"))

        async def is_told() -> bool:
            found = await events(cluster, "default")
            return any(each["involvedObject"]["name"] == namespace for each in found)

        await eventually(is_told, "told")


@pytest.mark.parametrize("status", [403, 429, 500])
async def test_a_server_that_refuses_is_left_alone_and_nothing_is_lost(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str, status: int
) -> None:
    proxy.choose = lambda _: Fault(status=status)
    async with telling(proxy.kubeconfig) as writer:
        for _ in range(30):
            writer.tell(happening(namespace))
            await asyncio.sleep(0.1)
        assert 1 <= writes(proxy) <= 4
        if status != 403:  # for rights it waits half a minute
            proxy.choose = lambda _: None
            await eventually(lambda: _count_is(cluster, namespace, [30]), "all of them")


async def test_a_namespace_that_is_gone_is_let_be(cluster: ControlPlane, proxy: FaultProxy) -> None:
    async with telling(proxy.kubeconfig) as writer:
        for _ in range(10):
            writer.keep([happening("no-such-namespace")])
            await asyncio.sleep(0.1)
        assert writes(proxy) == 1


async def test_a_long_note_is_cut_and_a_long_name_is_no_obstacle(
    cluster: ControlPlane, namespace: str
) -> None:
    async with telling(cluster.kubeconfig) as writer:
        writer.tell(happening(namespace, "x" * 5000, name=f"{'n' * 229}.{'m' * 23}"))
        await eventually(lambda: _count_is(cluster, namespace, [1]), "told")
        assert len((await events(cluster, namespace))[0]["message"]) == 1024
