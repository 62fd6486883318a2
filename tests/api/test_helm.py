"""What `helm install` made is known again, and goes as if `osm install` had made it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.api.test_crds import define
from tests.chart.helm_command import CHART, Helm
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

import osm
from osm.core.install.manifests import manifests
from osm.core.install.names import Installation
from osm.core.install.plan import helm_release, removals, to_prune
from osm.core.install.presets import PRESETS
from osm.core.install.single_mesh import control_planes
from osm.core.install.values_reading import read_values
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Objects
from osm.kubernetes.installing import find
from osm.kubernetes.resources import ref_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def objects(cluster: ControlPlane) -> AsyncIterator[Objects]:
    server = ApiServer.open(cluster.kubeconfig)
    yield Objects(server)
    await server.close()


async def test_release_is_known_upgraded_and_removed(
    cluster: ControlPlane, namespace: str, objects: Objects, tmp_path: Path
) -> None:
    await define(cluster)  # Helm makes definitions that are missing, and they would be its own
    here = Installation(f"m-{uuid.uuid4().hex[:8]}", namespace)
    helm = Helm(tmp_path, cluster.kubeconfig)
    about = (here.mesh, str(CHART), "-n", namespace, "--set", f"osm.meshName={here.mesh}")
    await run(helm, "install", *about, "-f", str(CHART / "values-ha.yaml"))

    found = await find(objects, here)
    made = manifests(here, read_values(PRESETS["ha"]).values, osm.__version__)
    assert {ref_of(each) for each in removals(here, found)} == {ref_of(each) for each in made}
    assert helm_release(found) == here.mesh
    planes = control_planes(each for each in found if each["kind"] == "Deployment")
    assert [(plane.mesh, plane.former) for plane in planes] == [(here.mesh, False)]

    # By `osm`, to fewer objects; and by Helm, which leaves settings alone that people changed.
    default = manifests(here, read_values({}).values, osm.__version__)
    assert [each["kind"] for each in to_prune(here, default, found)] == ["PodDisruptionBudget"]
    # Nobody serves the webhook that would judge the change.
    await cluster.kubectl("delete", "validatingwebhookconfiguration", here.validating_webhook)
    change = '{"spec":{"traffic":{"enableEgress":false}}}'
    config = ("meshconfig", "osm-mesh-config", "-n", namespace)
    await cluster.kubectl("patch", *config, "--type=merge", "-p", change)
    await run(helm, "upgrade", *about, "--set", "osm.enableEgress=true")
    shown = await cluster.kubectl("get", *config, "-o", "jsonpath={.spec.traffic.enableEgress}")
    assert shown == "false"

    for document in removals(here, await find(objects, here)):
        await objects.delete(ref_of(document))

    async def is_gone() -> bool:
        return not await find(objects, here)

    await eventually(is_gone, "everything is gone", within=30)


async def run(helm: Helm, *arguments: str) -> None:
    """Beside the event loop, which other tests' servers need."""
    done = await asyncio.to_thread(helm.run, *arguments)
    assert not done.returncode, done.stderr
