"""What is larger than gRPC's usual limit of 4 MiB reaches a real Envoy, and counts."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service

CLIENT = "client/client-0"
SHOP = "shop/shop-0"
MATCHES = 4_200
LENGTH = 980
"""Of a path, which may be a regex of at most 1,000 instructions."""


def path(number: int) -> str:
    return f"/{number}/".ljust(LENGTH, "a")


def many_routes() -> str:
    matches = [{"name": f"m{n}", "pathRegex": path(n), "methods": ["GET"]} for n in range(MATCHES)]
    group = {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "many", "namespace": "shop"},
        "spec": {"matches": matches},
    }
    target = {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "kind": "TrafficTarget",
        "metadata": {"name": "many", "namespace": "shop"},
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "shop", "namespace": "shop"},
            "sources": [{"kind": "ServiceAccount", "name": "client", "namespace": "client"}],
            "rules": [{"kind": "HTTPRouteGroup", "name": "many"}],
        },
    }
    return "\n---\n".join(map(json.dumps, (group, target)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    objects = (puppet("client"), puppet("shop"), service("shop"))
    (directory / "apps.yaml").write_text("---".join(objects))
    (directory / "access.yaml").write_text(
        http_access("few", "shop/shop", ("client/client",), path="/few")
    )
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(2)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status(mesh: MeshUnderTest, target: str) -> int:
    found, _, _ = await mesh.ask(CLIENT, "shop.shop", 80, target)
    return found


async def test_a_response_above_four_megabytes_arrives(mesh: MeshUnderTest) -> None:
    last = path(MATCHES - 1)
    assert [await status(mesh, target) for target in ("/few", last)] == [200, 403]
    mesh.write("many.yaml", many_routes())
    await mesh.settle()
    (proxy,) = [each for each in mesh.api.view().proxies if each.name == SHOP.partition("/")[2]]
    routes = next(each for each in proxy.types if each.type == "RDS")
    assert (routes.bytes > 4 * 1024 * 1024, routes.refused, proxy.in_sync) == (True, 0, True)
    assert [await status(mesh, target) for target in ("/few", last, last + "a")] == [200, 200, 403]
