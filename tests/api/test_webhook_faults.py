"""What users feel when a webhook is away, hangs, or changes its certificate."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.kubernetes.control_plane import ControlPlane

from osm.core.install.names import INJECTOR_SERVICE, VALIDATOR_SERVICE
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.apply import Objects
from osm.kubernetes.resources import Ref
from osm.kubernetes.rollout import wait_admitted

from .admitted import admitted, ingress, is_injected, pod
from .admitting import Admitting, new_root

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

CREATES = 2000 if "OSM_TEST_FULL" in os.environ else 200
CREATES_PER_S = 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(cluster: ControlPlane) -> AsyncIterator[Admitting]:
    async with admitted(cluster) as found:
        yield found


@pytest.fixture
def mesh(shared: Admitting) -> Iterator[Admitting]:
    with shared.as_it_is():
        yield shared


async def test_without_injector_only_pods_of_the_mesh_are_held_up(mesh: Admitting) -> None:
    inside, outside = await mesh.add_namespace(), await mesh.add_namespace(labels={})
    own = mesh.installation.namespace
    async with mesh.without(INJECTOR_SERVICE):
        started = time.monotonic()
        with pytest.raises(RuntimeError, match=r"failed calling webhook \"osm-inject.k8s.io\""):
            await mesh.create(inside, pod())
        assert time.monotonic() - started < 10
        for namespace in (outside, own, "kube-system"):
            document = pod(f"w1-{mesh.installation.mesh}", account="default")
            assert not is_injected(await mesh.create(namespace, document, "--dry-run=server"))
        # Its own pods start from nothing: that is how it comes back.
        await mesh.create(own, pod("osm-controller-0"))
    assert is_injected(await mesh.create(inside, pod()))


async def test_without_validator_what_is_there_can_go(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    for name in ("one", "two"):
        await mesh.create(namespace, ingress(name, service=name))
    await mesh.create(namespace, pod())
    async with mesh.without(VALIDATOR_SERVICE):
        away = r"failed calling webhook \"osm-validator.k8s.io\""
        with pytest.raises(RuntimeError, match=away):
            await mesh.create(namespace, ingress("three", service="three"))
        await mesh.cluster.kubectl("delete", "ingressbackend", "one", "-n", namespace)
        await mesh.create(namespace, pod("another"))
        await mesh.cluster.kubectl("delete", "namespace", namespace, "--timeout=50s")


async def test_an_installation_waits_until_its_validator_is_reached(mesh: Admitting) -> None:
    own = mesh.installation.namespace
    config = Ref("config.openservicemesh.io/v1alpha2", "MeshConfig", "osm-mesh-config", own)
    document = {
        "apiVersion": config.api_version,
        "kind": config.kind,
        "metadata": {"name": config.name},
        "spec": {},
    }
    await mesh.create(own, document)
    server = ApiServer.open(mesh.cluster.kubeconfig)
    try:
        async with mesh.without(VALIDATOR_SERVICE):
            waiting = asyncio.create_task(wait_admitted(Objects(server), config))
            await asyncio.sleep(2)
            assert not waiting.done()
        assert await waiting
    finally:
        await server.close()
    await mesh.cluster.kubectl("delete", "meshconfig", config.name, "-n", own)


async def test_a_webhook_that_hangs_costs_no_more_than_its_time_limit(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    mesh.hang_s = 30
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="deadline exceeded"):
        await mesh.create(namespace, pod())
    assert time.monotonic() - started < 15, "5 s, and kubectl's own start on a busy machine"
    mesh.hang_s = 0
    assert is_injected(await mesh.create(namespace, pod()))


async def test_certificates_and_roots_change_while_pods_are_created(mesh: Admitting) -> None:
    namespace = await mesh.add_namespace()
    server = ApiServer.open(mesh.cluster.kubeconfig)
    failed: list[str] = []
    made = rotations = 0

    async def create(number: int) -> None:
        nonlocal made
        try:
            await server.request(
                "POST", f"/api/v1/namespaces/{namespace}/pods", body=pod(f"app-{number}")
            )
            made += 1
        except Exception as error:  # noqa: BLE001 (each is counted, and shown)
            failed.append(f"{number}: {error}")

    async def create_all() -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(CREATES):
                group.create_task(create(number))
                await asyncio.sleep(max(0.0, started + number / CREATES_PER_S - loop.time()))

    creating = asyncio.create_task(create_all())
    try:
        await asyncio.sleep(1)
        while not creating.done():
            await mesh.certify()  # a renewed certificate of the same root
            await asyncio.sleep(0.5)
            old, mesh.root = mesh.root, new_root()
            await mesh.register(old.trust_bundle + mesh.root.trust_bundle)
            await asyncio.sleep(1.5)  # what the API server may take to learn of it
            await mesh.certify()
            await asyncio.sleep(0.5)
            await mesh.register()
            await asyncio.sleep(1.5)
            rotations += 1
    finally:
        await creating
        await server.close()
    assert failed == []
    assert made == CREATES and rotations > CREATES // 400
    bare = await mesh.cluster.kubectl(
        "get", "pods", "-n", namespace, "-l", "!osm-proxy-uuid", "-o", "name"
    )
    assert bare == "", "each of them has its proxy"
