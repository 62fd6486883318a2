"""OSM's end-to-end scenarios: shares of traffic, retries, limits, and versions of TLS."""

from functools import partial

import pytest

from osm.testing.builders import http_group, retry, split, target, tcp_route, upstream

from .cast import CLOSED, ECHO, HTTP, OPEN, Cast, service
from .pods import pods

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUESTS = 160
WHO = f"""
counts = {{}}
for _ in range({REQUESTS}):
    name = talk("web", {ECHO}, "who")[1]
    counts[name] = counts.get(name, 0) + 1
result = counts
"""
FAILS = "TRACE"
"""A method that puppets answer with 501."""


async def statistics(scene: Cast, name: str, cluster: str) -> dict[str, int]:
    """Of what a pod's proxy sends to a cluster, as `osm proxy get stats` prints it."""
    (pod,) = await pods(scene.node, scene.namespace, f"app={name}")
    get = ("proxy", "get", "stats", pod["metadata"]["name"], "-n", scene.namespace)
    lines = (await scene.mesh.osm(*get)).splitlines()
    pairs = (line.partition(": ") for line in lines if line.startswith(f"cluster.{cluster}."))
    found = {key.removeprefix(f"cluster.{cluster}."): value for key, _, value in pairs}
    return {key: int(value) for key, value in found.items() if value.isdecimal()}


def shared(counts: dict[str, int], first: str, second: str) -> bool:
    """Whether two got all requests, the first about a quarter of them."""
    spread = REQUESTS // 8
    return (
        sum(counts.values()) == REQUESTS
        and set(counts) == {first, second}
        and abs(counts[first] - REQUESTS // 4) < spread
    )


async def test_requests_are_split_between_pods_of_one_account(scene: Cast) -> None:
    here = scene.namespace
    await scene.put(
        http_group("everything", namespace=here),
        target("web", "web", ["caller"], "HTTPRouteGroup/everything", namespace=here),
        split("web", "web", {"v1": 1, "v2": 3}, namespace=here),
    )

    async def is_split() -> bool:
        return shared(await scene.count("caller", "web", requests=REQUESTS), "v1", "v2")

    for mode in (CLOSED, OPEN):
        await scene.mesh.configure(**mode)
        await scene.until(is_split, f"a quarter goes to v1 with {mode}")


async def test_requests_are_split_between_two_accounts(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    here = scene.namespace
    await scene.put(
        service("spare", app="other"),
        http_group("everything", namespace=here),
        target("web", "web", ["caller"], "HTTPRouteGroup/everything", namespace=here),
        target("spare", "other", ["caller"], "HTTPRouteGroup/everything", namespace=here),
        split("web", "web", {"spare": 10, "v2": 30}, namespace=here),
    )

    async def is_split() -> bool:
        return shared(await scene.count("caller", "web", requests=REQUESTS), "other", "v2")

    await scene.until(is_split, "a quarter goes to another account's pod")


async def test_connections_are_split(scene: Cast) -> None:
    await scene.mesh.configure(**CLOSED)
    here = scene.namespace
    await scene.put(
        tcp_route("echo", ECHO, namespace=here),
        target("web", "web", ["caller"], "TCPRoute/echo", namespace=here),
        split("web", "web", {"v1": 1, "v2": 3}, namespace=here),
    )

    async def is_split() -> bool:
        found: dict[str, int] = await scene.run("caller", WHO)
        counts = {name.partition("-")[0]: times for name, times in found.items()}
        return shared(counts, "v1", "v2")

    await scene.until(is_split, "a quarter of connections goes to v1")


async def test_a_request_that_fails_is_sent_again_where_retries_are_on(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    here = scene.namespace
    await scene.put(retry("retry", f"{here}/caller", [f"{here}/v1"], namespace=here, times=5))
    flags = {"enableRetryPolicy": True}
    await scene.mesh.patch_config({"featureFlags": flags})
    try:

        async def five_more() -> bool:
            return await retries(scene) == (5, 1)

        await scene.until(five_more, "a request is sent again five times")
    finally:
        await scene.mesh.patch_config({"featureFlags": dict.fromkeys(flags, False)})

    async def none() -> bool:
        return await retries(scene) == (0, 0)

    await scene.until(none, "nothing is sent again once retries are off")


async def retries(scene: Cast) -> tuple[int, int]:
    """What one failing request adds to retries, and to limits reached."""
    cluster = f"{scene.namespace}/v1|{HTTP}"
    before = await statistics(scene, "caller", cluster)
    assert await scene.status("caller", "v1", method=FAILS) == 501
    after = await statistics(scene, "caller", cluster)
    names = ("upstream_rq_retry", "upstream_rq_retry_limit_exceeded")
    more, limits = (after.get(name, 0) - before.get(name, 0) for name in names)
    return more, limits


async def test_requests_above_a_local_limit_get_429(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    limit = {"requests": 3, "unit": "hour"}
    host = f"v1.{scene.namespace}.svc.cluster.local"
    of_host = {"rateLimit": {"local": {"http": limit}}}
    of_route = {"httpRoutes": [{"path": ".*", "rateLimit": {"local": limit}}]}
    for spec in (of_host, of_route):
        await scene.answers("caller", "v1")
        before = await limited(scene)
        await scene.put(upstream("limits", host, spec, namespace=scene.namespace))
        await scene.answers("caller", "v1", status=429)
        counts = await scene.count("caller", "v1", requests=10)
        assert counts == {"status 429": 10}
        assert await limited(scene) - before >= 10
        await scene.drop()


async def limited(scene: Cast) -> int:
    (pod,) = await pods(scene.node, scene.namespace, "app=v1")
    get = ("proxy", "get", "stats", pod["metadata"]["name"], "-n", scene.namespace)
    lines = (await scene.mesh.osm(*get)).splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if ".rate_limited:" in line)


async def test_the_highest_version_of_tls_is_mesh_configs(scene: Cast) -> None:
    await scene.mesh.configure(**OPEN)
    cluster = f"{scene.namespace}/v1|{HTTP}"
    try:
        for version in ("1.2", "1.3"):
            await highest(scene, version)
            await scene.until(partial(speaks, scene, cluster, version), f"TLS {version} is spoken")
        await highest(scene, "1.1")
        await scene.answers("caller", "v1", status=503)
    finally:
        await highest(scene, "1.3")
    await scene.answers("caller", "v1")


async def highest(scene: Cast, version: str) -> None:
    name = f"TLSv{version.replace('.', '_')}"
    await scene.mesh.patch_config({"sidecar": {"tlsMaxProtocolVersion": name}})


async def speaks(scene: Cast, cluster: str, version: str) -> bool:
    """Whether one more connection is made with this version; each request is answered."""
    counter = f"ssl.versions.TLSv{version}"
    before = await statistics(scene, "caller", cluster)
    assert await scene.status("caller", "v1") == 200
    after = await statistics(scene, "caller", cluster)
    return after.get(counter, 0) > before.get(counter, 0)
