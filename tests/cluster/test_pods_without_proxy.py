"""A namespace joins the mesh while its pods run: those of before have no proxy, until they are made anew."""

import pytest
from tests.kubernetes.node import Node

from .mesh import Mesh
from .pods import app, apply, ready, run_in_pod
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASK = ("curl", "-s", "-w", "%{http_code} ", "--max-time", "10")
BARE = "[OSM225]"


async def test_pods_of_before_get_no_calls_beside_new_ones(
    node: Node, mesh: Mesh, namespace: str
) -> None:
    serve = ("python", "-m", "http.server", "8080")
    await apply(node, app("web", *serve, port=8080), namespace)
    (old,) = await ready(node, namespace, "app=web")
    await mesh.join(namespace)
    await apply(node, app("caller", "sleep", "900"), namespace)
    await ready(node, namespace, "app=caller")
    bare = f"{namespace}/{old['metadata']['name']}"

    async def answers(count: int = 1) -> list[str]:
        urls = [f"http://web:8080/?{number}" for number in range(count)]
        said = (*ASK, *(each for url in urls for each in ("-o", "/dev/null", url)))
        return (
            await run_in_pod(node, namespace, "deployment/caller", *said, container="app")
        ).split()

    async def is_answered(status: str) -> bool:
        return await answers() == [status]

    await eventually(lambda: is_answered("503"), "it fails closed", within=20)
    explained = await mesh.try_osm("explain", f"{namespace}/caller", "web:8080", "GET", "/")
    assert "no ready workload behind the service has a proxy of the mesh: 503" in explained.out
    assert f"kubectl rollout restart deployment/web -n {namespace}" in explained.out
    analyzed = await mesh.try_osm("analyze")
    (told,) = (line for line in analyzed.out.splitlines() if BARE in line)
    assert f"Deployment {namespace}/web: 1 pod has no proxy" in told
    listed = await mesh.try_osm("proxy", "list", "-n", namespace)
    assert listed.out.count("InSync") == 1
    assert f"{bare} has no proxy of this mesh" in listed.errors
    assert f"{bare} was made before, and has no proxy" in (await mesh.try_osm("check")).out
    assert bare in (await mesh.try_osm("status")).out

    await node.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=2")
    await ready(node, namespace, "app=web", count=2)
    await eventually(lambda: is_answered("200"), "the new pod answers", within=20)
    assert await answers(40) == ["200"] * 40, "none went to the old one"
    explained = await mesh.try_osm("explain", f"{namespace}/caller", "web:8080", "GET", "/")
    assert f"{bare}: without a proxy of the mesh, so no calls go there" in explained.out

    await node.kubectl("-n", namespace, "rollout", "restart", "deployment/web")
    await node.kubectl("-n", namespace, "rollout", "status", "deployment/web", "--timeout=90s")
    await eventually(lambda: nothing_is_said(mesh), "nothing is wrong any more", within=30)
    assert await answers(40) == ["200"] * 40


async def nothing_is_said(mesh: Mesh) -> bool:
    return BARE not in (await mesh.try_osm("analyze")).out
