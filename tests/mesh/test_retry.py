"""Retry through real proxies: how often requests are sent again, and whose."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, local_mesh, puppet, service

CLIENT, OTHER, SHOP = "client/client-0", "other/other-0", "shop/shop-0"
FAILS = "TRACE"
"""A method that the shop answers with 501."""

OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("other"),
        puppet("shop"),
        service("shop"),
        service("alias", namespace="shop", selector={"app": "shop"}, ports=((81, 8000, "http"),)),
    )
)


def config(*, enabled: bool) -> str:
    return f"""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: osm-mesh-config, namespace: osm-system}}
spec:
  traffic: {{enablePermissiveTrafficPolicyMode: true}}
  featureFlags: {{enableRetryPolicy: {str(enabled).lower()}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "config.yaml").write_text(config(enabled=True))
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def retry(
    destination: str = "shop",
    *,
    on: str = "5xx",
    times: int = 5,
    name: str = "retry",
    created: str = "",
) -> str:
    return json.dumps(
        {
            "apiVersion": "policy.openservicemesh.io/v1alpha1",
            "kind": "Retry",
            "metadata": {"name": name, "namespace": "client", "creationTimestamp": created},
            "spec": {
                "source": {"kind": "ServiceAccount", "name": "client", "namespace": "client"},
                "destinations": [{"kind": "Service", "name": destination, "namespace": "shop"}],
                "retryPolicy": {
                    "retryOn": on,
                    "perTryTimeout": "1s",
                    "numRetries": times,
                    "retryBackoffBaseInterval": "1ms",
                },
            },
        }
    )


async def put(mesh: MeshUnderTest, *objects: str) -> None:
    mesh.write("retry.yaml", "\n---\n".join(objects) or "# none")
    await mesh.settle()


async def retries(mesh: MeshUnderTest, pod: str, port: int = 80, method: str = FAILS) -> list[int]:
    """What one failing request adds to the counters: retries, back-offs, and limits reached."""
    host = "shop.shop" if port == 80 else "alias.shop"
    names = (
        "upstream_rq_retry",
        "upstream_rq_retry_backoff_exponential",
        "upstream_rq_retry_limit_exceeded",
    )
    service_name = host.partition(".")[0]

    async def counters() -> list[int]:
        text = (await mesh.api.proxy_admin(pod, "stats")).decode()
        values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return [int(values.get(f"cluster.shop/{service_name}|8000.{name}", 0)) for name in names]

    before = await counters()
    await mesh.ask(pod, host, port, method=method)
    return [after - b for after, b in zip(await counters(), before, strict=True)]


async def test_a_request_that_fails_is_sent_again_as_often_as_written(mesh: MeshUnderTest) -> None:
    await put(mesh, retry())
    assert await retries(mesh, CLIENT) == [5, 5, 1]
    assert await retries(mesh, CLIENT, method="GET") == [0, 0, 0]
    await put(mesh, retry(times=2))
    assert await retries(mesh, CLIENT) == [2, 2, 1]


async def test_others_and_other_services_are_not_retried(mesh: MeshUnderTest) -> None:
    await put(mesh, retry())
    assert await retries(mesh, OTHER) == [0, 0, 0]
    assert await retries(mesh, CLIENT, 81) == [0, 0, 0]
    await put(mesh, retry("alias"))
    assert await retries(mesh, CLIENT) == [0, 0, 0]
    assert await retries(mesh, CLIENT, 81) == [5, 5, 1]


async def test_only_what_was_written_is_retried(mesh: MeshUnderTest) -> None:
    await put(mesh, retry(on="retriable-4xx, connect-failure"))
    assert await retries(mesh, CLIENT) == [0, 0, 0]


async def test_the_older_of_two_counts(mesh: MeshUnderTest) -> None:
    old = retry(times=1, name="z", created="2024-01-01T00:00:00Z")
    await put(mesh, old, retry(times=4, name="a", created="2025-01-01T00:00:00Z"))
    assert await retries(mesh, CLIENT) == [1, 1, 1]
    assert any("which is older" in f.message for f in mesh.api.findings())


async def test_nothing_is_retried_when_mesh_config_switches_it_off(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", config(enabled=False))
    await put(mesh, retry())
    assert await retries(mesh, CLIENT) == [0, 0, 0]
    assert any(f.code == "OSM361" for f in mesh.api.findings())
    mesh.write("config.yaml", config(enabled=True))
    await put(mesh, retry())
    assert await retries(mesh, CLIENT) == [5, 5, 1]
