"""The getting-started flow with real pods: the same manifests as on one machine."""

import json
import re

import pytest
from tests.kubernetes.node import Node

from .mesh import DEMO, Mesh
from .pods import logs, ready
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMESPACES = ("bookbuyer", "bookthief", "bookstore", "bookwarehouse")
CLOSED = {"enablePermissiveTrafficPolicyMode": False, "enableEgress": False}


async def last_line(node: Node, app: str) -> str:
    lines = (await logs(node, app, f"deployment/{app}", container=app)).splitlines()
    return lines[-1] if lines else ""


async def total(node: Node, app: str, done: str) -> int:
    """How many books somebody has bought or stolen."""
    text = await logs(node, app, f"deployment/{app}", container=app)
    found = re.findall(rf"{done} a book from \S+ \(total (\d+)\)", text)
    return int(found[-1]) if found else 0


async def rises(node: Node, app: str, done: str) -> None:
    before = await total(node, app, done)

    async def more() -> bool:
        return await total(node, app, done) > before + 1

    await eventually(more, f"{app} has {done} more books", within=30)


async def test_the_bookstore(node: Node, mesh: Mesh) -> None:
    await mesh.configure(**CLOSED)
    try:
        await node.kubectl("apply", "-f", str(DEMO / "apps" / "namespaces.yaml"))
        assert "has already been added to mesh [osm]" in await mesh.osm(
            "namespace", "add", *NAMESPACES
        )
        await node.kubectl("apply", "-f", str(DEMO / "apps"))
        for app in ("bookbuyer", "bookthief", "bookstore", "bookwarehouse"):
            await ready(node, app, f"app={app}")
        await ready(node, "bookwarehouse", "app=database")
        await follow_the_guide(node, mesh)
    finally:
        await node.kubectl("delete", "namespace", *NAMESPACES, "--wait=false")
        await mesh.configure(enablePermissiveTrafficPolicyMode=True, enableEgress=True)


async def follow_the_guide(node: Node, mesh: Mesh) -> None:
    async def refused() -> bool:
        return "is 403" in await last_line(node, "bookbuyer")

    await eventually(refused, "nobody may call anybody")
    asked = ("explain", "bookbuyer", "bookstore.bookstore:14001", "GET", "/buy-a-book/new")
    denied = await mesh.try_osm(*asked)
    assert denied.code == 1 and "DENIED" in denied.out and "This would allow it" in denied.out

    await node.kubectl("apply", "-f", str(DEMO / "access"))
    await rises(node, "bookbuyer", "bought")
    assert "ALLOWED" in await mesh.osm(*asked)
    assert "403, as expected" in await last_line(node, "bookthief")
    thief = (await ready(node, "bookthief", "app=bookthief"))[0]["metadata"]["name"]
    certificates = await mesh.osm("proxy", "get", "certs", thief, "-n", "bookthief")
    assert "spiffe://cluster.local/ns/bookthief/sa/bookthief" in certificates

    # The remedy that `explain` prints is YAML that the API server takes.
    asked = ("explain", "bookthief", "bookstore.bookstore:14001", "GET", "/buy-a-book/new")
    remedy = (await mesh.try_osm(*asked, "-o", "remedy")).out
    await node.kubectl("apply", "-f", "-", text=remedy)
    await rises(node, "bookthief", "stolen")
    await node.kubectl("delete", "-f", "-", text=remedy)

    async def caught() -> bool:
        return "403, as expected" in await last_line(node, "bookthief")

    await eventually(caught, "the thief is out again", within=10)

    await node.kubectl("apply", "-f", str(DEMO / "apps-v2"))
    await ready(node, "bookstore", "app=bookstore,version=v2")
    await node.kubectl("apply", "-f", str(DEMO / "split"))

    async def from_v2() -> bool:
        text = await logs(node, "bookbuyer", "deployment/bookbuyer", container="bookbuyer")
        return "bought a book from bookstore-v2" in text

    await eventually(from_v2, "the split sends some to v2", within=30)

    status = json.loads(await mesh.osm("status", "-o", "json"))
    assert status["healthy"] and len(status["mesh"]["workloads"]) == 6

    async def told() -> bool:
        split = await node.kubectl("get", "trafficsplit", "-n", "bookstore", "-o", "json")
        (item,) = json.loads(split)["items"]
        status = item.get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        seen = status.get("observedGeneration") == item["metadata"]["generation"]
        return seen and conditions == {"Accepted": "True", "Programmed": "True"}

    await eventually(told, "the split's status says that it is in force", within=15)
