"""A control plane that ends at any moment leaves nothing that the next one does not finish (row K6)."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.install.manifests import crds
from osm.core.install.names import Installation
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.resources import ref_of

from .keeping import collect_handshakes
from .lives import Left, Point, left, life, without_doors
from .processes import remove_webhooks
from .statuses import define, split

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

AT_ONCE = 3
WRITES = {
    "POST secrets",
    "POST leases",
    "PUT leases",
    "PATCH configmaps",
    "PATCH mutatingwebhookconfigurations",
    "PATCH validatingwebhookconfigurations",
    "PATCH trafficsplits/status",
    "POST events",
}
"""All that the control plane writes where its CRDs are as they should be."""
FILES = ["roots.pem", "token_sds_secret.json", "validation_context_sds_secret.json"]
ODD = "somebody/own"
END = {
    "root": True,
    "mutatingwebhookconfigurations": [True],
    "validatingwebhookconfigurations": [True],
    "files": (FILES, True),
    "good": {"Accepted": "True AcceptedWithWarnings", "Programmed": "True Programmed"},
    "worse": {"Accepted": "False Invalid", "Programmed": "False NotAccepted"},
}


@pytest.fixture(autouse=True)
def doors() -> Iterator[None]:
    with without_doors():
        yield
    collect_handshakes()


def service(name: str, protocol: str = "http") -> str:
    port = {"port": 80, "appProtocol": protocol}
    spec = {"ports": [port], "selector": {"app": name}}
    metadata = {"name": name}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


class Town:
    """A mesh of its own, with objects that make the control plane write all that it ever writes."""

    def __init__(self, cluster: ControlPlane, server: ApiServer) -> None:
        tag = uuid.uuid4().hex[:8]
        self.installation = Installation(f"m-{tag}", f"m-{tag}")
        self.shop = f"shop-{tag}"
        self._cluster = cluster
        self._server = server

    async def build(self) -> None:
        mesh = self.installation.mesh
        labels = {"openservicemesh.io/monitored-by": mesh}
        namespaces = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": mesh}},
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": self.shop, "labels": labels},
            },
        ]
        text = "\n---\n".join(map(json.dumps, namespaces))
        await self._cluster.kubectl("apply", "-f", "-", text=text)
        objects = (
            split("good", service="cart", backend="cart-v1"),
            *(split(name, service="odd", backend="cart") for name in ("bad", "worse")),
            *map(service, ("cart", "cart-v1")),
            service("odd", ODD),
        )
        text = "\n---\n".join(objects)
        await self._cluster.kubectl("apply", "-n", self.shop, "-f", "-", text=text)

    async def left(self) -> Left:
        return await left(self._server, self.installation, self.shop)

    async def remove(self) -> None:
        await remove_webhooks(self._cluster, self.installation)
        both = (self.installation.namespace, self.shop)
        await self._cluster.kubectl("delete", "namespace", *both, "--wait=false")


@asynccontextmanager
async def town(cluster: ControlPlane) -> AsyncIterator[Town]:
    server = ApiServer.open(cluster.kubeconfig)
    made = Town(cluster, server)
    await made.build()
    try:
        yield made
    finally:
        await made.remove()
        await server.close()


async def test_after_whichever_write_it_ends_the_next_one_comes_to_the_same_end(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    await define(cluster)
    async with town(cluster) as here, life(cluster, tmp_path, here.installation) as whole:

        async def is_done() -> bool:
            await asyncio.sleep(0.3)
            found = await here.left()
            return bool(found["events"]) and whole.writes.count("PUT leases") == 1

        await eventually(is_done, "everything is written", within=60)
        await asyncio.sleep(1)
        end, points = await here.left(), whole.points()
    assert {what for what, _ in points} == WRITES
    assert {name: end[name] for name in END} == END
    turn = asyncio.Semaphore(AT_ONCE)

    async def end_after(point: Point) -> None:
        async with turn, town(cluster) as here:
            async with life(cluster, tmp_path, here.installation, point) as first:
                await first.end()
            root = (await here.left()).root
            async with life(cluster, tmp_path, here.installation):

                async def is_the_same() -> bool:
                    await asyncio.sleep(0.3)
                    return await here.left() == end

                await eventually(is_the_same, f"the same after {point}", within=60)
            assert root in (b"", (await here.left()).root), f"a new root after {point}"

    # Of writes that are alike, the first and the last.
    counts = dict(points)
    chosen = {point for point in points if point[1] in (1, counts[point[0]])}
    await asyncio.gather(*map(end_after, chosen))


async def test_definitions_that_one_has_begun_to_write_the_next_one_completes(
    cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    wanted = {f"crd/{ref_of(crd).name}" for crd in crds()}
    await cluster.kubectl("delete", "crd", "--all")
    mesh = Installation(namespace, namespace)

    async def present() -> set[str]:
        text = await cluster.kubectl("get", "crd", "-o", "name")
        return {f"crd/{line.partition('/')[2]}" for line in text.split()}

    async def is_complete() -> bool:
        await asyncio.sleep(0.3)
        return await present() == wanted

    try:
        point = "PATCH customresourcedefinitions", 6
        async with life(cluster, tmp_path, mesh, point) as first:
            await first.end()
        assert len(await present()) < len(wanted)
        async with life(cluster, tmp_path, mesh):
            await eventually(is_complete, "all of them", within=60)
        await cluster.kubectl("wait", "--for=condition=Established", *sorted(wanted))
    finally:
        await remove_webhooks(cluster, mesh)
        await define(cluster)
