"""Webhook configurations and CRDs stay as the mesh needs them (row W8)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import FaultProxy
from tests.waiting import eventually

from osm.core.install.names import Installation
from osm.core.install.webhooks import mutating_webhook, validating_webhook
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.events import Happening
from osm.kubernetes.guard import ABSENT_S, OFTEN, Guard

from .keeping import found, running, writes

pytestmark = pytest.mark.asyncio(loop_scope="session")

MUTATING = "mutatingwebhookconfiguration"
CRD = "guarded.test.osm.example"
QUICK = ((100, 60.0), 0.5)
"""Often, and soon after a deletion."""


def definition(*, column: str = ".spec.a") -> dict[str, object]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD},
        "spec": {
            "group": "test.osm.example",
            "scope": "Namespaced",
            "names": {"kind": "Guarded", "plural": "guarded", "singular": "guarded"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "additionalPrinterColumns": [
                        {"name": "A", "type": "string", "jsonPath": column}
                    ],
                }
            ],
        },
    }


class Guarding:
    def __init__(self, guard: Guard, told: list[Happening]) -> None:
        self.guard = guard
        self.told = told


@asynccontextmanager
async def guarding(
    proxy: FaultProxy, how: tuple[tuple[int, float], float] = QUICK
) -> AsyncIterator[Guarding]:
    server = ApiServer.open(proxy.kubeconfig)
    told: list[Happening] = []
    guard = Guard(server, server.request, Random(1), told.append, often=how[0], absent_s=how[1])
    async with running(guard.run()):
        yield Guarding(guard, told)
    await server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane, namespace: str) -> AsyncIterator[Installation]:
    """A mesh of a name of its own, whose cluster-wide objects are removed."""
    installation = Installation(namespace, namespace)
    yield installation
    for kind, name in (
        (MUTATING, installation.mutating_webhook),
        ("validatingwebhookconfiguration", installation.validating_webhook),
        ("crd", CRD),
    ):
        await cluster.kubectl("delete", kind, name, "--ignore-not-found")


def hooks(cluster: ControlPlane, mesh: Installation, copies: int = 1) -> list[dict[str, Any]]:
    roots = cluster.authority.read_bytes() * copies
    return [
        mutating_webhook(mesh, roots, 5, version="v1"),
        validating_webhook(mesh, roots, version="v1"),
    ]


async def test_they_are_made_once_and_nothing_is_told(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    async with guarding(proxy) as running_:
        for _ in range(30):
            running_.guard.want([*hooks(cluster, mesh), definition()])
            await asyncio.sleep(0.1)
        for kind, name in ((MUTATING, mesh.mutating_webhook), ("crd", CRD)):
            assert await found(cluster, kind, name) is not None
        assert writes(proxy) == 3 and running_.told == []


async def test_new_roots_are_written_at_once(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    async with guarding(proxy) as running_:

        async def has(copies: int) -> bool:
            webhook = await found(cluster, MUTATING, mesh.mutating_webhook)
            wanted = base64.b64encode(cluster.authority.read_bytes() * copies).decode()
            return webhook is not None and [
                each["clientConfig"].get("caBundle") for each in webhook["webhooks"]
            ] == [wanted]

        running_.guard.want(hooks(cluster, mesh))
        await eventually(lambda: has(1), "the root")
        running_.guard.want(hooks(cluster, mesh, copies=2))
        await eventually(lambda: has(2), "both roots", within=3)
        await eventually(lambda: writes(proxy) == 4, "the validating one too")
        assert running_.told == []


EDITS = (
    '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]',
    '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]',
    '[{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["DELETE"]}]',
    '[{"op": "remove", "path": "/webhooks/0"}]',
    '[{"op": "remove", "path": "/metadata/labels"}]',
    '[{"op": "replace", "path": "/webhooks/0/clientConfig/service/name", "value": "evil"}]',
)


async def test_what_somebody_deletes_or_edits_is_back_within_10_s_and_told(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    name = mesh.mutating_webhook
    async with guarding(proxy) as running_:
        running_.guard.want(hooks(cluster, mesh))
        await eventually(lambda: _is_there(cluster, name), "made")
        right = await found(cluster, MUTATING, name)
        assert right is not None

        async def is_right() -> bool:
            now = await found(cluster, MUTATING, name)
            return (
                now is not None
                and all(now[part] == right[part] for part in ("webhooks",))
                and (now["metadata"].get("labels") == right["metadata"]["labels"])
            )

        for number in range(10):
            if number < len(EDITS):
                await cluster.kubectl("patch", MUTATING, name, "--type=json", "-p", EDITS[number])
            else:
                await cluster.kubectl("delete", MUTATING, name)
            await eventually(is_right, f"as before, after {number}", within=10)
        await eventually(lambda: len(running_.told) == 10, "told each time")
        assert {each.regarding.name for each in running_.told} == {name}


async def _is_there(cluster: ControlPlane, name: str) -> bool:
    return await found(cluster, MUTATING, name) is not None


async def test_what_is_deleted_stays_away_long_enough_for_an_uninstallation(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    """With the product's own time."""
    name = mesh.mutating_webhook
    async with guarding(proxy, (OFTEN, ABSENT_S)) as running_:
        running_.guard.want(hooks(cluster, mesh)[:1])
        await eventually(lambda: _is_there(cluster, name), "made", within=10)
        await cluster.kubectl("delete", MUTATING, name)
        took = await eventually(lambda: _is_there(cluster, name), "there again", within=10)
        assert took > 4


async def test_a_definition_that_somebody_deletes_or_edits_is_back(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    async with guarding(proxy) as running_:
        running_.guard.want([definition()])

        async def is_right() -> bool:
            now = await found(cluster, "crd", CRD)
            columns = now and now["spec"]["versions"][0].get("additionalPrinterColumns")
            return bool(columns and columns[0]["jsonPath"] == ".spec.a")

        await eventually(is_right, "made")
        theirs = json.dumps(definition(column=".spec.theirs"))
        await cluster.kubectl("replace", "-f", "-", text=theirs)
        await eventually(is_right, "as before", within=10)
        await cluster.kubectl("delete", "crd", CRD)
        await eventually(is_right, "there again", within=10)
        assert len(running_.told) == 2


@pytest.mark.parametrize("writer", ["osm", "osm-controller"], ids=["an upgrade", "another mesh"])
async def test_a_definition_that_a_mesh_wrote_is_not_undone_by_the_version_that_still_leads(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation, writer: str
) -> None:
    async with guarding(proxy) as running_:
        running_.guard.want([definition()])

        async def has(column: str) -> bool:
            now = await found(cluster, "crd", CRD)
            columns = now and now["spec"]["versions"][0].get("additionalPrinterColumns")
            return bool(columns and columns[0]["jsonPath"] == column)

        await eventually(lambda: has(".spec.a"), "made")
        upgraded = json.dumps(definition(column=".spec.newer"))
        await cluster.kubectl(
            *("apply", "--server-side", f"--field-manager={writer}", "--force-conflicts"),
            *("-f", "-"),
            text=upgraded,
        )
        await asyncio.sleep(2)
        assert await has(".spec.newer") and writes(proxy) == 1
        theirs = json.dumps(definition(column=".spec.theirs"))
        await cluster.kubectl("replace", "-f", "-", text=theirs)
        await eventually(lambda: has(".spec.a"), "anybody else's change is undone")


async def test_a_second_manager_that_fights_is_answered_three_times_in_a_minute(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    name = mesh.mutating_webhook
    loop = asyncio.get_running_loop()
    async with guarding(proxy, (OFTEN, 0.5)) as running_:
        running_.guard.want(hooks(cluster, mesh)[:1])
        await eventually(lambda: _is_there(cluster, name), "made")
        started = loop.time()
        for _ in range(15):
            await cluster.kubectl("patch", MUTATING, name, "--type=json", "-p", EDITS[0])
            await asyncio.sleep(0.2)
        assert 3 <= writes(proxy) <= 3 * (1 + (loop.time() - started) // 60)
        assert len(running_.told) == writes(proxy) - 1  # the first made it


async def test_what_others_add_is_left_alone(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    name = mesh.mutating_webhook
    async with guarding(proxy) as running_:
        running_.guard.want(hooks(cluster, mesh)[:1])
        await eventually(lambda: _is_there(cluster, name), "made")
        await cluster.kubectl("label", MUTATING, name, "theirs=x")
        await cluster.kubectl("annotate", MUTATING, name, "theirs=x")
        document = await found(cluster, MUTATING, name)
        assert document is not None
        added = {**document["webhooks"][0], "name": "theirs.example.com"}
        patch = json.dumps([{"op": "add", "path": "/webhooks/0", "value": added}])
        await cluster.kubectl("patch", MUTATING, name, "--type=json", "-p", patch)
        await asyncio.sleep(2)
        after = await found(cluster, MUTATING, name)
        assert after is not None and len(after["webhooks"]) == 2
        assert writes(proxy) == 1 and running_.told == []


async def test_what_is_not_wanted_any_more_is_left_alone(
    cluster: ControlPlane, proxy: FaultProxy, mesh: Installation
) -> None:
    """At an uninstall: nobody fights with the person who removes it."""
    async with guarding(proxy) as running_:
        running_.guard.want(hooks(cluster, mesh)[:1])
        await eventually(lambda: _is_there(cluster, mesh.mutating_webhook), "made")
        running_.guard.want([])
        await cluster.kubectl("delete", MUTATING, mesh.mutating_webhook)
        await asyncio.sleep(2)
        assert not await _is_there(cluster, mesh.mutating_webhook) and running_.told == []
