"""What MeshConfig says takes effect on a running mesh."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from osm.local.proxy import ask_admin

from .harness import MeshUnderTest, local_mesh, puppet, service

CLIENT = "client/client-0"


def config(
    *, validity: str = "24h", checks: bool = False, proxies: int = 0, mode: str = "Localhost"
) -> str:
    return f"""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: osm-mesh-config, namespace: osm-system}}
spec:
  sidecar: {{maxDataPlaneConnections: {proxies}, localProxyMode: {mode}}}
  traffic: {{enablePermissiveTrafficPolicyMode: true}}
  certificate: {{serviceCertValidityDuration: {validity}, certKeyBitSize: 2048}}
  featureFlags: {{enableEnvoyActiveHealthChecks: {str(checks).lower()}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "config.yaml").write_text(config())
    (directory / "apps.yaml").write_text(
        "---".join((puppet("client"), puppet("shop"), service("shop")))
    )
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(2)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def admin(mesh: MeshUnderTest, pod: str, path: str) -> str:
    status, body = await ask_admin(mesh.runtime / "pods" / pod.replace("/", "."), path)
    assert status == 200, body
    return body.decode()


def expires(mesh: MeshUnderTest, pod: str) -> datetime:
    """When the workload's certificate that its proxy holds ends."""
    (proxy,) = (p for p in mesh.api.view().proxies if f"{p.namespace}/{p.name}" == pod)
    return datetime.fromisoformat(proxy.certificate_expires)


async def checks_of(mesh: MeshUnderTest) -> int:
    text = await admin(mesh, CLIENT, "/stats?filter=cluster.shop.*health_check.success")
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines())


async def test_new_certificates_live_as_long_as_the_mesh_config_says(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", config(validity="20m"))
    await mesh.settle()
    mesh.write("late.yaml", puppet("late") + "---" + service("late"))
    await mesh.wait_ready(3)
    now = datetime.now(UTC)
    assert timedelta(minutes=18) < expires(mesh, "late/late-0") - now <= timedelta(minutes=20)
    assert expires(mesh, "shop/shop-0") - now > timedelta(hours=23), "those in use stay"
    mesh.remove("late.yaml")
    mesh.write("config.yaml", config())
    await mesh.wait_for(lambda: len(mesh.api.view().workloads) == 2, "late is gone")


async def test_proxies_check_each_other_when_they_are_told_to(mesh: MeshUnderTest) -> None:
    assert (await mesh.get(CLIENT, "http://shop.shop/"))[0] == 200
    assert await checks_of(mesh) == 0
    mesh.write("config.yaml", config(checks=True))
    await mesh.settle()
    assert (await mesh.get(CLIENT, "http://shop.shop/"))[0] == 200

    async def checked() -> bool:
        return await checks_of(mesh) > 0

    await mesh.wait_for(checked, "a proxy was checked")
    text = await admin(mesh, CLIENT, "/stats?filter=cluster.shop.*health_check.failure")
    assert all(line.endswith(": 0") for line in text.splitlines())
    seen = (await mesh.get("shop/shop-0", "http://127.0.0.1:8000/"))[2]
    assert "healthz" not in seen
    mesh.write("config.yaml", config())
    await mesh.settle()


async def test_no_more_proxies_are_let_in_than_the_mesh_config_says(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", config(proxies=2))
    await mesh.settle()
    mesh.write("third.yaml", puppet("third"))

    async def refused() -> bool:
        lines = mesh.api.logs("osm-system/osm-controller", tail=20, follow=False)
        return any(["no room for another proxy" in line.text async for line in lines])

    await mesh.wait_for(refused, "the third proxy is refused", within=20)
    assert sum(proxy.connected for proxy in mesh.api.view().proxies) == 2
    mesh.write("config.yaml", config())
    await mesh.wait_ready(3, within=20)
    mesh.remove("third.yaml")
    await mesh.wait_for(lambda: len(mesh.api.view().workloads) == 2, "the third is gone")


async def test_an_application_that_listens_at_its_pods_address_is_called_there(
    mesh: MeshUnderTest,
) -> None:
    own = '{name: BIND_ADDRESS, valueFrom: {fieldRef: {fieldPath: "status.podIP"}}}'
    text = puppet("bound").replace('{name: BIND_ADDRESS, value: "0.0.0.0"}', own)
    mesh.write("bound.yaml", text + "---" + service("bound"))
    await mesh.wait_ready(3)
    assert (await mesh.get(CLIENT, "http://bound.bound/"))[0] == 503
    mesh.write("config.yaml", config(mode="PodIP"))
    await mesh.settle()
    assert (await mesh.get(CLIENT, "http://bound.bound/"))[0] == 200
    assert (await mesh.get(CLIENT, "http://shop.shop/"))[0] == 200, "listens everywhere"
    mesh.remove("bound.yaml")
    mesh.write("config.yaml", config())
    await mesh.wait_for(lambda: len(mesh.api.view().workloads) == 2, "bound is gone")
