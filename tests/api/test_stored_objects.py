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

from osm.core.api.crd import custom_resource_definitions
from osm.core.install.names import Installation
from osm.core.model.origin import Severity
from osm.runtime.kubernetes_mesh import KubernetesMesh

from .conftest import eventually
from .keeping import collect_handshakes
from .lives import life, without_doors
from .processes import remove_webhooks
from .statuses import apply, define, read, split

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEPTH = 3000
DEEP = "LISTS"
"""Stands for a list of a list, and so on."""
WRONG = {
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
HARMLESS = {
    # Fields that are none of theirs are warnings, and nothing is left that could be wrong.
    *(("HTTPRouteGroup", name) for name in ("nulls", "large")),
    # They count under one name; these are not in force.
    *((kind, name) for kind in ("MeshConfig", "Telemetry") for name in WRONG),
}
UNKNOWN = {"spec": {"service": "cart", "backends": [{"service": "a", "weight": 1}], "later": 1}}


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
    """Every wrong form of every kind; gives their kinds and names."""
    definitions = lax()
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": definitions})
    await cluster.kubectl("replace", "-f", "-", text=text)
    objects, stored = [], set()
    for definition in definitions:
        spec = definition["spec"]
        kind = spec["names"]["kind"]
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        for name, content in WRONG.items():
            about = {"apiVersion": f"{spec['group']}/{version}", "kind": kind}
            objects.append({**about, "metadata": {"name": name}, **content})
            stored.add((kind, name))
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    text = items.replace(f'"{DEEP}"', "[" * DEPTH + "]" * DEPTH)

    async def is_stored() -> bool:
        try:
            await cluster.kubectl("apply", "--server-side", "--validate=false", "-n", namespace, "-f", "-", text=text)
        except RuntimeError as error:
            print(str(error)[:1000])
            return False  # the lax schema is not in force yet
        return True

    await eventually(is_stored, "all are stored", within=30)
    return stored


async def test_they_are_findings_and_disturb_nobody(
    cluster: ControlPlane, mesh: Installation, tmp_path: Path
) -> None:
    await define(cluster)
    where = mesh.namespace
    await apply(cluster, where, split("good"))
    stored = await store(cluster, where)
    await apply(cluster, where, json.dumps(json.loads(split("later")) | UNKNOWN))

    async def is_said(word: str, *names: str) -> bool:
        await asyncio.sleep(0.3)
        accepted = '{.metadata.name}={.status.conditions[?(@.type=="Accepted")].status} '
        output = f"jsonpath={{range .items[*]}}{accepted}{{end}}"
        text = await cluster.kubectl("get", "trafficsplits", "-n", where, "-o", output)
        return {f"{name}={word}" for name in names} <= set(text.split())

    async with life(cluster, tmp_path, mesh) as living:
        running = await asyncio.wait_for(living.mesh, 30)
        await eventually(lambda: wrong(running) >= stored - HARMLESS, "a finding about each")
        await eventually(lambda: is_said("False", *WRONG), "their statuses", within=30)
        await eventually(lambda: is_said("True", "good", "later"), "good ones are used", within=30)
        # The schemas are in force from now on; what is stored stays.
        await define(cluster)
        await cluster.kubectl("label", "trafficsplits", "--all", "-n", where, "now=strict")
        await apply(cluster, where, split("good", backend="cart-v2"))

        async def is_followed() -> bool:
            found = await read(cluster, where, "good")
            return found["status"].get("observedGeneration") == found["metadata"]["generation"]

        await eventually(is_followed, "the good one is followed", within=30)
    async with life(cluster, tmp_path, mesh) as living:
        running = await asyncio.wait_for(living.mesh, 30)
        await eventually(lambda: ("TrafficSplit", "types") in wrong(running), "findings")
        assert not {name for _, name in wrong(running)} & {"good", "later"}
    await cluster.kubectl("delete", "trafficsplits", "--all", "-n", where)


def wrong(running: KubernetesMesh) -> set[tuple[str, str]]:
    return {
        (each.origin.kind, each.origin.name)
        for each in running.api.findings()
        if each.origin and each.severity is Severity.ERROR
    }
