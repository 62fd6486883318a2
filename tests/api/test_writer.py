"""All that the leading replica writes, with the rights that an installation gives it and no others."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.install.labels import selecting
from osm.core.install.manifests import manifests
from osm.core.install.names import PROXY_FILES, Installation
from osm.core.install.values import Values
from osm.core.install.webhooks import mutating_webhook
from osm.core.model.origin import Finding, Origin, Severity
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.lease import LeaseTimes
from osm.runtime.writer import WriterInputs, write_while_leading

from .keeping import found, running
from .statuses import apply, define, finding, read, said, split
from .test_status import BAD, GOOD
from .watching import Copy, watching

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIMES = LeaseTimes(lease_s=3, renew_s=2.0, retry_s=0.4)
FILES = {"roots.pem": "a root\n"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "cart"},
    "spec": {"ports": [{"port": 80}]},
}
CONFIG = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config"},
    "spec": {},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "osm-controller-0"},
    "spec": {"containers": [{"name": "osm-controller", "image": "osm"}]},
}
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(cluster: ControlPlane, namespace: str) -> AsyncIterator[Installation]:
    """An installation's rights, in a namespace of its own."""
    await define(cluster)
    installation = Installation(namespace, namespace)
    rights = [each for each in manifests(installation, Values(), "v1") if each["kind"] in RIGHTS]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": rights})
    await cluster.kubectl("apply", "-f", "-", text=text)
    yield installation
    await cluster.kubectl(
        *("delete", "mutatingwebhookconfiguration", installation.mutating_webhook),
        "--ignore-not-found",
    )
    await cluster.kubectl("delete", "-f", "-", "--ignore-not-found", text=text)


async def with_its_rights(cluster: ControlPlane, mesh: Installation, path: Path) -> Path:
    """A kubeconfig of the control plane's ServiceAccount."""
    token = await cluster.kubectl("create", "token", mesh.mesh, "-n", mesh.namespace)
    config = json.loads(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token.strip()}
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


class World:
    """What the rest of a control plane would say."""

    def __init__(self, copy: Copy, mesh: Installation, roots: bytes) -> None:
        self.findings: list[Finding] = []
        self.namespaces = {mesh.namespace}
        self.inputs = WriterInputs(
            news=asyncio.Event(),
            objects=lambda: copy.objects,
            findings=lambda: self.findings,
            namespaces=lambda: self.namespaces,
            served=lambda: self.namespaces,
            proxy_files=lambda: FILES,
            documents=lambda: [mutating_webhook(mesh, roots, version="v1")],
        )


@asynccontextmanager
async def replica(kubeconfig: Path, mesh: Installation, world: World) -> AsyncIterator[list[bool]]:
    server = ApiServer.open(kubeconfig)
    leads: list[bool] = []
    work = write_while_leading(
        server,
        mesh,
        "osm-controller-0",
        world.inputs,
        observe=leads.append,
        rng=Random(1),
        times=TIMES,
    )
    async with running(work):
        yield leads
    await server.close()


async def version(cluster: ControlPlane, *what: str) -> str:
    document = await found(cluster, *what)
    assert document is not None
    return str(document["metadata"]["resourceVersion"])


async def told(cluster: ControlPlane, mesh: Installation) -> set[tuple[str, str]]:
    text = await cluster.kubectl("get", "events", "-n", mesh.namespace, "-o", "json")
    items: list[Mapping[str, Any]] = json.loads(text)["items"]
    return {
        (each["involvedObject"]["name"], each["reason"])
        for each in items
        if each["source"].get("component") == "osm-controller" and each["involvedObject"].get("uid")
    }


async def test_everything_is_written_with_the_rights_of_an_installation(
    cluster: ControlPlane, mesh: Installation, tmp_path: Path
) -> None:
    kubeconfig = await with_its_rights(cluster, mesh, tmp_path / "kubeconfig")
    objects = [json.dumps(each) for each in (SERVICE, CONFIG, POD)]
    await apply(cluster, mesh.namespace, split("good"), split("bad"), *objects)
    kinds = ("trafficsplits", "services", "meshconfigs", "pods", "namespaces")
    roots = cluster.authority.read_bytes()
    here = ("-n", mesh.namespace)
    async with watching(cluster.kubeconfig, kinds) as copy:
        await eventually(lambda: copy.changes > 0, "objects")
        world = World(copy, mesh, roots)
        world.findings = [
            finding(mesh.namespace, "bad"),
            Finding("OSM210", Severity.WARNING, Origin("Service", mesh.namespace, "cart"), "odd"),
            Finding("OSM904", Severity.WARNING, None, "the root certificate expires"),
        ]
        async with replica(kubeconfig, mesh, world) as first:
            await eventually(lambda: first == [True], "it leads")

            async def all_is_written() -> bool:
                config = await found(cluster, "meshconfig", "osm-mesh-config", *here)
                files = await found(cluster, "configmap", PROXY_FILES, *here)
                return (
                    said(await read(cluster, mesh.namespace, "good")) == GOOD
                    and said(await read(cluster, mesh.namespace, "bad")) == BAD
                    and said(config or {}) == GOOD
                    and files is not None
                    and files["data"] == FILES
                    and await told(cluster, mesh)
                    == {("cart", "MeshWarning"), ("osm-controller-0", "RootCertificateExpires")}
                    and await found(cluster, "mutatingwebhookconfiguration", mesh.mutating_webhook)
                    is not None
                )

            await eventually(all_is_written, "all of it", within=20)

            world.findings = []
            await cluster.kubectl("delete", "configmap", PROXY_FILES, *here)
            world.inputs.news.set()

            async def is_good_again() -> bool:
                return (
                    said(await read(cluster, mesh.namespace, "bad")) == GOOD
                    and await found(cluster, "configmap", PROXY_FILES, *here) is not None
                )

            await eventually(is_good_again, "what changed")
        assert first == [True, False]
        lease = await found(cluster, "lease", mesh.lease, *here)
        assert lease is not None and lease["spec"]["holderIdentity"] == ""
        assert lease["metadata"]["labels"] == selecting(mesh.mesh), "an uninstall finds it by these"


async def test_one_replica_writes_and_the_next_finds_nothing_to_do(
    cluster: ControlPlane, mesh: Installation, tmp_path: Path
) -> None:
    kubeconfig = await with_its_rights(cluster, mesh, tmp_path / "kubeconfig")
    await apply(cluster, mesh.namespace, split())
    here = ("-n", mesh.namespace)
    what = (("trafficsplit", "split", *here), ("configmap", PROXY_FILES, *here))
    async with watching(cluster.kubeconfig, ("trafficsplits",)) as copy, AsyncExitStack() as stack:
        await eventually(lambda: copy.changes > 0, "objects")
        worlds = [World(copy, mesh, cluster.authority.read_bytes()) for _ in range(2)]
        first = await stack.enter_async_context(replica(kubeconfig, mesh, worlds[0]))
        await eventually(lambda: first == [True], "the first leads")
        async with replica(kubeconfig, mesh, worlds[1]) as second:

            async def is_written() -> bool:
                is_said = said(await read(cluster, mesh.namespace)) == GOOD
                return is_said and await found(cluster, *what[1]) is not None

            await eventually(is_written, "written")
            assert second == []
            before = [await version(cluster, *each) for each in what]
            await stack.aclose()
            await eventually(lambda: second == [True], "the second leads", within=5)
            await asyncio.sleep(3)
            assert [await version(cluster, *each) for each in what] == before
