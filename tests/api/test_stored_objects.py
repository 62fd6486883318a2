"""Objects that our schemas forbid, and that are stored all the same: from before, or by another's CRDs
(row K10).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.api.crd import custom_resource_definitions
from osm.core.install.names import Installation
from osm.core.model.origin import Severity
from osm.runtime.kubernetes_mesh import KubernetesMesh

from .churning import service
from .keeping import collect_handshakes
from .lives import life, without_doors
from .processes import remove_webhooks
from .statuses import apply, define, read, split

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

DEPTH = 3000
DEEP = "LISTS"
"""Stands for a list of a list, and so on."""
WRONG: dict[str, dict[str, object]] = {
    "nothing": {},
    "null": {"spec": None},
    "text": {"spec": "x"},
    "number": {"spec": 7.5},
    "list": {"spec": [None]},
    "nulls": {"spec": {"service": None, "backends": None, "destination": None, "hosts": None}},
    "types": {"spec": {"service": 5, "backends": "b", "matches": {"a": 1}, "sources": 7}},
    "items": {"spec": {"backends": [None, 1], "matches": [[]], "sources": ["a"], "hosts": [{}]}},
    "deep": {"spec": {"backends": DEEP, "matches": DEEP, "sources": DEEP}},
    "large": {"spec": {"service": "s" * 300_000, "host": "h" * 300_000}},
}
OTHERS = ("null", "types", "deep")
"""Of other kinds than TrafficSplit, which has them all."""
SERVICES = ("cart", "cart-v1", "cart-v2", "other", "a")
HARMLESS = {
    # They count under one name; these are not in force.
    *((kind, name) for kind in ("MeshConfig", "Telemetry") for name in OTHERS),
}
UNKNOWN = {"spec": {"service": "other", "backends": [{"service": "a", "weight": 1}], "later": 1}}


@pytest.fixture(autouse=True)
def doors() -> Iterator[None]:
    with without_doors():
        yield
    collect_handshakes()


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane, namespace: str) -> AsyncIterator[Installation]:
    installation = Installation(namespace, namespace)
    await cluster.kubectl("label", "ns", namespace, f"openservicemesh.io/monitored-by={namespace}")
    try:
        yield installation
    finally:
        await remove_webhooks(cluster, installation)
        await define(cluster)


def lax() -> list[Any]:
    """Our kinds, as the CRDs of others have some of them: anything goes."""
    definitions: list[Any] = deepcopy(list(custom_resource_definitions()))
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for definition in definitions:
        for version in definition["spec"]["versions"]:
            version["schema"] = {"openAPIV3Schema": anything}
    return definitions


async def store(cluster: ControlPlane, namespace: str) -> set[tuple[str, str]]:
    """Wrong forms of every kind; gives their kinds and names."""
    definitions = lax()
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": definitions})
    await cluster.kubectl("replace", "-f", "-", text=text)
    objects, stored = [], set()
    for definition in definitions:
        spec = definition["spec"]
        kind = spec["names"]["kind"]
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        for name in WRONG if kind == "TrafficSplit" else OTHERS:
            content = WRONG[name]
            about = {"apiVersion": f"{spec['group']}/{version}", "kind": kind}
            objects.append({**about, "metadata": {"name": name}, **content})
            stored.add((kind, name))
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    text = items.replace(f'"{DEEP}"', "[" * DEPTH + "]" * DEPTH)

    async def is_stored() -> bool:
        try:
            await cluster.kubectl(
                "apply", "--server-side", "--validate=false", "-n", namespace, "-f", "-", text=text
            )
        except RuntimeError:
            return False  # the lax schema is not in force yet
        return True

    await eventually(is_stored, "all are stored", within=90)
    return stored


async def test_no_kind_needs_a_webhook_to_be_read() -> None:
    """Every version is stored as it is written: there is no conversion that could be away (row W9)."""
    specs: list[Any] = [each["spec"] for each in custom_resource_definitions()]
    assert [spec["conversion"] for spec in specs] == [{"strategy": "None"}] * len(specs)


async def test_they_are_findings_and_disturb_nobody(
    cluster: ControlPlane, mesh: Installation, tmp_path: Path
) -> None:
    await define(cluster)
    where = mesh.namespace
    services = ({"apiVersion": "v1", "kind": "Service"} | service(name) for name in SERVICES)
    await apply(cluster, where, split("good"), *map(json.dumps, services))
    stored = await store(cluster, where)
    await apply(cluster, where, json.dumps(json.loads(split("later")) | UNKNOWN))

    async def is_said(word: str, *names: str) -> bool:
        await asyncio.sleep(0.3)
        accepted = '{.metadata.name}={.status.conditions[?(@.type=="Accepted")].status} '
        output = f"jsonpath={{range .items[*]}}{accepted}{{end}}"
        text = await cluster.kubectl("get", "trafficsplits", "-n", where, "-o", output)
        about = "{.involvedObject.kind}/{.involvedObject.name}={.reason} "
        output = f"jsonpath={{range .items[*]}}{about}{{end}}"
        told = (await cluster.kubectl("get", "events", "-n", where, "-o", output)).split()
        wanted = {f"{name}={word}" for name in names}
        # What contradicts its schema cannot be given a status.
        instead = {n for n in names if word == "False" and f"TrafficSplit/{n}=MeshError" in told}
        return wanted - {f"{name}={word}" for name in instead} <= set(text.split())

    async with life(cluster, tmp_path, mesh) as living:
        running = await asyncio.wait_for(living.mesh, 60)
        await eventually(
            lambda: wrong(running) >= stored - HARMLESS, "a finding about each", within=60
        )
        await eventually(lambda: is_said("False", *WRONG), "their statuses or Events", within=90)
        await eventually(lambda: is_said("True", "good", "later"), "good ones are used", within=90)
        # The schemas are in force from now on; what is stored stays.
        await define(cluster)
        await apply(cluster, where, split("good", backend="cart-v2"))

        async def is_followed() -> bool:
            found = await read(cluster, where, "good")
            return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])

        await eventually(is_followed, "the good one is followed", within=90)
    async with life(cluster, tmp_path, mesh) as living:
        running = await asyncio.wait_for(living.mesh, 60)
        await eventually(lambda: ("TrafficSplit", "types") in wrong(running), "findings", within=60)
        assert not {name for _, name in wrong(running)} & {"good", "later"}
    await cluster.kubectl("delete", "trafficsplits", "--all", "-n", where)


def wrong(running: KubernetesMesh) -> set[tuple[str, str]]:
    return {
        (each.origin.kind, each.origin.name)
        for each in running.api.findings()
        if each.origin and each.severity is Severity.ERROR
    }
