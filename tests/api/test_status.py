"""Statuses on a real API server: what they say, how often they are written, and what is left alone."""

import asyncio
import json
from copy import deepcopy
from typing import Any

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy
from tests.waiting import eventually

from osm.core.api.crd import custom_resource_definition
from osm.core.api.manifest import Key
from osm.core.api.registry import find_kind
from osm.core.model.groups import SPLIT
from osm.kubernetes.api_server import ApiServer, Status

from .statuses import SPLITS, apply, define, finding, read, said, split, writing

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = {"Accepted": "True Accepted", "Programmed": "True Programmed"}
BAD = {"Accepted": "False Invalid", "Programmed": "False NotAccepted"}


def writes(proxy: FaultProxy) -> list[Asked]:
    """What changed something, or tried to."""
    return [asked for asked in proxy.asked if asked.method != "GET"]


def without_status(found: dict[str, Any]) -> dict[str, Any]:
    kept = deepcopy(found)
    kept.pop("status", None)
    for name in ("managedFields", "resourceVersion"):
        kept["metadata"].pop(name, None)
    return kept


async def test_a_status_is_written_once_and_nothing_else_of_the_object(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split())
    before = await read(cluster, namespace)
    async with writing(proxy.kubeconfig, namespace):
        await eventually(lambda: bool(writes(proxy)), "a status is written")
        await asyncio.sleep(5)
        after = await read(cluster, namespace)
        assert said(after) == GOOD and after["status"]["currentStatus"] == "committed"
        assert after["status"]["reason"] == "successfully committed by the system"
        assert without_status(after) == without_status(before)
        assert [asked.path.rpartition("/")[2] for asked in writes(proxy)] == ["status"]
    owners = {
        (each["manager"], each.get("subresource", ""))
        for each in json.loads(
            await cluster.kubectl(
                *("get", "trafficsplit", "split", "-n", namespace, "-o", "json"),
                "--show-managed-fields",
            )
        )["metadata"]["managedFields"]
    }
    assert ("osm-controller", "status") in owners and ("osm-controller", "") not in owners


async def test_a_status_follows_findings_and_generations(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split())
    async with writing(proxy.kubeconfig, namespace) as running:

        async def has(conditions: dict[str, str], generation: int, count: int) -> bool:
            found = await read(cluster, namespace)
            seen = {each["observedGeneration"] for each in found["status"]["conditions"]}
            return (
                said(found) == conditions
                and seen == {found["status"]["observedGeneration"]} == {generation}
                and len(writes(proxy)) == count
            )

        await eventually(lambda: bool(writes(proxy)), "the first")
        await eventually(lambda: has(GOOD, 1, 1), "good")
        first = (await read(cluster, namespace))["status"]["conditions"]
        running.findings = [finding(namespace)]
        await eventually(lambda: has(BAD, 1, 2), "bad")
        await apply(cluster, namespace, split(backend="cart-v2"))
        await eventually(lambda: has(BAD, 2, 3), "the next generation")
        await asyncio.sleep(1)  # conditions tell whole seconds
        running.findings = []
        await eventually(lambda: has(GOOD, 2, 4), "good again")
        last = (await read(cluster, namespace))["status"]["conditions"]
        assert all(
            a["lastTransitionTime"] < b["lastTransitionTime"]
            for a, b in zip(first, last, strict=True)
        )
        await cluster.kubectl("label", "trafficsplit", "split", "-n", namespace, "a=b")
        await asyncio.sleep(2)
        assert await has(GOOD, 2, 4)


async def test_the_next_one_who_leads_finds_nothing_to_write(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split("a"), split("b"))
    async with writing(cluster.kubeconfig, namespace) as running:
        running.findings = [finding(namespace, "a")]
        for name in ("a", "b"):
            await eventually(lambda name=name: _is_said(cluster, namespace, name), "both")  # type: ignore[misc]
    async with writing(proxy.kubeconfig, namespace) as running:
        running.findings = [finding(namespace, "a")]
        await asyncio.sleep(4)
        assert writes(proxy) == []


async def _is_said(cluster: ControlPlane, namespace: str, name: str) -> bool:
    return bool(said(await read(cluster, namespace, name)))


async def test_conflicts_are_tried_again_and_settle(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    conflicts = [Fault(status=409) for _ in range(4)]
    proxy.choose = lambda asked: conflicts.pop() if asked.method == "PATCH" and conflicts else None
    async with writing(proxy.kubeconfig, namespace):
        await apply(cluster, namespace, split())
        await eventually(lambda: _is_said(cluster, namespace, "split"), "said", within=10)
        await asyncio.sleep(1)
        assert len(writes(proxy)) == 5


async def test_five_writers_of_one_status_do_not_undo_each_other(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    """Four others put whole statuses and try again on each conflict, one of them edits `spec` too."""
    await define(cluster)
    server = ApiServer.open(cluster.kubeconfig)
    path = f"/apis/{SPLITS}/namespaces/{namespace}/trafficsplits/split"

    async def put(who: int) -> None:
        condition = {
            "type": f"Theirs{who}",
            "status": "True",
            "reason": "Here",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for _ in range(100):
            found = json.loads(await server.get(path))
            conditions = found.setdefault("status", {}).setdefault("conditions", [])
            if not any(each["type"] == condition["type"] for each in conditions):
                conditions.append(condition)
            found["status"][f"field{who}"] = who
            try:
                await server.request("PUT", f"{path}/status", body=found)
            except Status as status:
                if status.code != 409:
                    raise
                continue
            if who == 1:
                edit = {"spec": {"backends": [{"service": "cart-v2", "weight": 7}]}}
                merge = "application/merge-patch+json"
                await server.request("PATCH", path, None, edit, merge)
            return
        raise AssertionError(f"writer {who} never came through")

    await apply(cluster, namespace, split())
    async with writing(proxy.kubeconfig, namespace):
        await asyncio.gather(*(put(who) for who in range(4)))

        async def settled() -> bool:
            found = await read(cluster, namespace)
            types = {f"Theirs{who}" for who in range(4)} | {"Accepted", "Programmed"}
            return (
                said(found).keys() == types
                and found["status"].get("observedGeneration") == found["metadata"]["generation"]
                and all(found["status"].get(f"field{who}") == who for who in range(4))
            )

        await eventually(settled, "all five are there", within=10)
        await asyncio.sleep(2)
        assert await settled() and len(writes(proxy)) <= 5
        spec = (await read(cluster, namespace))["spec"]
        assert spec["backends"] == [{"service": "cart-v2", "weight": 7}]
    await server.close()


async def test_one_that_takes_the_status_away_again_and_again_makes_no_storm(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split())
    loop = asyncio.get_running_loop()
    async with writing(proxy.kubeconfig, namespace):
        started = loop.time()
        for _ in range(12):
            patch = json.dumps({"status": {"currentStatus": "theirs", "conditions": []}})
            await cluster.kubectl(
                *("patch", "trafficsplit", "split", "-n", namespace, "--subresource=status"),
                *("--type=merge", "-p", patch),
            )
            await asyncio.sleep(0.3)
        assert 2 <= len(writes(proxy)) <= 3 * (1 + (loop.time() - started) // 60)


@pytest.mark.parametrize("status", [404, 422])
async def test_a_server_that_refuses_is_left_alone_for_longer_and_longer(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str, status: int
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split())
    proxy.choose = lambda asked: Fault(status=status) if asked.method == "PATCH" else None
    async with writing(proxy.kubeconfig, namespace) as running:
        await eventually(lambda: bool(writes(proxy)), "a first try")
        for number in range(20):
            running.findings = [finding(namespace, message=f"it changes: {number}")]
            await asyncio.sleep(0.2)
        assert len(writes(proxy)) <= 5


async def test_an_object_that_is_gone_is_forgotten(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    async with writing(proxy.kubeconfig, namespace) as running:
        for number in range(4):
            await apply(cluster, namespace, split(f"s{number}"))
            await cluster.kubectl("delete", "trafficsplit", f"s{number}", "-n", namespace)
        await asyncio.sleep(1)
        count = len(writes(proxy))
        await asyncio.sleep(2)
        assert len(writes(proxy)) == count <= 8 and running.writer.queue.waiting == 0
        assert await cluster.kubectl("get", "trafficsplits", "-n", namespace, "-o", "name") == ""


async def test_objects_of_other_namespaces_are_left_alone(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    await apply(cluster, namespace, split())
    async with writing(proxy.kubeconfig, "another") as running:
        running.findings = [finding(namespace)]
        await asyncio.sleep(2)
        assert writes(proxy) == [] and said(await read(cluster, namespace)) == {}


async def test_an_object_that_could_never_be_read_gets_a_status_too(
    cluster: ControlPlane, namespace: str
) -> None:
    """Its findings are all that is known of it."""
    await define(cluster)
    await apply(cluster, namespace, split())
    async with writing(cluster.kubeconfig, namespace, kinds=("services",)) as running:
        running.findings = [finding(namespace)]
        await eventually(lambda: _is_said(cluster, namespace, "split"), "said")
        found = await read(cluster, namespace)
        assert said(found) == BAD and found["status"]["observedGeneration"] == 1


async def test_a_kind_without_a_status_gets_none(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    """SMI's own CRDs have none."""
    await define(cluster)
    kind = find_kind("trafficsplits")
    assert kind is not None
    crd: Any = deepcopy(custom_resource_definition(kind))
    for version in crd["spec"]["versions"]:
        del version["subresources"]
    try:
        await cluster.kubectl("replace", "-f", "-", text=json.dumps(crd))
        await asyncio.sleep(1)
        key = Key(SPLIT, "TrafficSplit", namespace, "split")
        async with writing(proxy.kubeconfig, namespace) as running:
            assert not running.writer.lacks_status(key)
            await apply(cluster, namespace, split())
            await eventually(lambda: running.writer.lacks_status(key), "found out")
            await asyncio.sleep(2)
            assert writes(proxy) == []
    finally:
        await define(cluster)


async def test_a_kind_whose_schema_has_no_room_counts_as_one_without_status(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str
) -> None:
    await define(cluster)
    kind = find_kind("trafficsplits")
    assert kind is not None
    crd: Any = deepcopy(custom_resource_definition(kind))
    for version in crd["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["status"] = {
            "type": "object",
            "properties": {"currentStatus": {"type": "string"}},
        }
    try:
        await cluster.kubectl("replace", "-f", "-", text=json.dumps(crd))
        await asyncio.sleep(1)
        await apply(cluster, namespace, split())
        async with writing(proxy.kubeconfig, namespace) as running:
            key = Key(SPLIT, "TrafficSplit", namespace, "split")
            await eventually(lambda: running.writer.lacks_status(key), "found out")
            await cluster.kubectl("label", "trafficsplit", "split", "-n", namespace, "a=b")
            await asyncio.sleep(3)
            assert len(writes(proxy)) == 1
    finally:
        await define(cluster)
