"""UpstreamTrafficSetting through real proxies: circuit breaking, and limits of requests and connections."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, http_access, local_mesh, mesh_config, puppet, service

CLIENT = "client/client-0"
SHOP = "shop/shop-0"
BANK = "bank/bank-0"
ECHO = 9000

OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("shop"),
        service("shop"),
        service("alias", namespace="shop", selector={"app": "shop"}),
        puppet("bank", arguments=(f"--echo={ECHO}",)),
        service("bank", ports=((ECHO, ECHO, "tcp"), (80, 8000, "http"))),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "config.yaml").write_text(mesh_config(permissive=True))
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def setting(host: str, spec: dict[str, Any], *, name: str = "limits", created: str = "") -> str:
    """An UpstreamTrafficSetting for the service `<namespace>/<name>`."""
    namespace, _, service_name = host.partition("/")
    return json.dumps(
        {
            "apiVersion": "policy.openservicemesh.io/v1alpha1",
            "kind": "UpstreamTrafficSetting",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created},
            "spec": {"host": f"{service_name}.{namespace}.svc.cluster.local", **spec},
        }
    )


async def put(mesh: MeshUnderTest, *settings: str) -> None:
    mesh.write("limits.yaml", "\n---\n".join(settings) or "# none")
    await mesh.settle()


async def statistic(mesh: MeshUnderTest, pod: str, name: str) -> int:
    text = (await mesh.api.proxy_admin(pod, "stats")).decode()
    found = [line.rpartition(": ")[2] for line in text.splitlines() if line.startswith(f"{name}: ")]
    return int(found[0]) if found else 0


async def statuses(mesh: MeshUnderTest, host: str, target: str = "/", requests: int = 10) -> Any:
    """How often each status came."""
    counts = await mesh.count(CLIENT, host, 80, target, requests=requests)
    return {key if key.startswith("status") else "200": number for key, number in counts.items()}


REQUESTS_LIMIT = "http_local_rate_limiter.http_local_rate_limit.rate_limited"
PER_MINUTE = {"requests": 3, "unit": "minute"}
LIMITED = {"200": 3, "status 429": 7}


def of_host(**more: Any) -> dict[str, Any]:
    return {"rateLimit": {"local": {"http": {**PER_MINUTE, **more}}}}


def of_route(path: str, **more: Any) -> dict[str, Any]:
    return {"httpRoutes": [{"path": path, "rateLimit": {"local": {**PER_MINUTE, **more}}}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (of_host(), LIMITED),
        (of_host(burst=7), {"200": 10}),
        (of_host(responseStatusCode=503), {"200": 3, "status 503": 7}),
        (of_route(".*"), LIMITED),
        (of_route(".*", burst=10), {"200": 10}),
        (of_route("/not-a-route"), {"200": 10}),
        ({**of_host(), **of_route(".*", requests=5)}, {"200": 5, "status 429": 5}),
    ],
)
async def test_requests_above_the_limit_are_refused(
    mesh: MeshUnderTest, spec: dict[str, Any], expected: dict[str, int]
) -> None:
    await put(mesh)
    before = await statistic(mesh, SHOP, REQUESTS_LIMIT)
    await put(mesh, setting("shop/shop", spec))
    # The service is the second one of its pod by name: its limit is for its own host.
    assert await statuses(mesh, "shop.shop") == expected
    assert await statuses(mesh, "alias.shop") == {"200": 10}
    refused = 10 - expected["200"]
    assert await statistic(mesh, SHOP, REQUESTS_LIMIT) - before == refused


async def test_each_of_two_services_of_a_pod_has_its_own_limit(mesh: MeshUnderTest) -> None:
    alias = setting("shop/alias", of_host(requests=6), name="alias")
    await put(mesh, setting("shop/shop", of_host()), alias)
    assert await statuses(mesh, "shop.shop") == LIMITED
    assert await statuses(mesh, "alias.shop") == {"200": 6, "status 429": 4}
    # All spellings of a service have one limit.
    assert await statuses(mesh, "shop.shop.svc.cluster.local") == {"status 429": 10}


async def test_an_answer_to_one_too_many_says_what_was_written(mesh: MeshUnderTest) -> None:
    headers = [{"name": "X-Why", "value": "100% busy"}]
    await put(mesh, setting("shop/shop", of_host(responseHeadersToAdd=headers)))
    await statuses(mesh, "shop.shop", requests=3)
    status, found, _ = await mesh.ask(CLIENT, "shop.shop")
    assert (status, found["x-why"]) == (429, "100% busy")
    assert found["x-osm-limited"] == (
        "UpstreamTrafficSetting shop/limits spec.rateLimit.local.http"
    )


async def test_a_route_has_the_path_of_an_access_rule(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", mesh_config(permissive=False))
    rules = (
        http_access("buy", "shop/shop", ("client/client",), path="/buy"),
        http_access("look", "shop/shop", ("client/client",), path="/look.*"),
    )
    mesh.write("access.yaml", "---".join(rules))
    try:
        await put(mesh, setting("shop/shop", of_route("/buy")))
        assert await statuses(mesh, "shop.shop", "/look") == {"200": 10}
        # What access rules refuse uses nothing up.
        assert await statuses(mesh, "shop.shop", "/denied") == {"status 403": 10}
        assert await statuses(mesh, "shop.shop", "/x/../buy?many") == LIMITED
        await put(mesh, setting("shop/shop", of_route("/b.*")))
        assert await statuses(mesh, "shop.shop", "/buy") == {"200": 10}
        assert any("no route has the path" in f.message for f in mesh.api.findings())
    finally:
        mesh.remove("access.yaml")
        mesh.write("config.yaml", mesh_config(permissive=True))
        await mesh.settle()


async def test_the_older_of_two_settings_counts(mesh: MeshUnderTest) -> None:
    old = setting("shop/shop", of_host(), name="z", created="2024-01-01T00:00:00Z")
    new = setting("shop/shop", of_host(burst=7), name="a", created="2025-01-01T00:00:00Z")
    await put(mesh, old, new)
    assert await statuses(mesh, "shop.shop") == LIMITED
    assert any("which is older" in f.message for f in mesh.api.findings())


async def test_connections_above_the_limit_are_closed(mesh: MeshUnderTest) -> None:
    tcp = {"rateLimit": {"local": {"tcp": {"connections": 3, "unit": "minute"}}}}
    await put(mesh, setting("bank/bank", tcp))
    program = f"result = [talk('bank.bank', {ECHO})[0] for _ in range(10)]"
    outcomes = await mesh.run(CLIENT, program, timeout=60)
    assert outcomes.count("answered") == 3, outcomes
    name = f"local_rate_limit.inbound_bank/bank_{ECHO}_tcp.rate_limited"
    assert await statistic(mesh, BANK, name) >= 7
    tcp["rateLimit"]["local"]["tcp"]["burst"] = 10
    await put(mesh, setting("bank/bank", tcp))
    assert await mesh.run(CLIENT, program, timeout=60) == ["answered"] * 10
    await put(mesh)


HOLD = """
    import socket
    def send(head):
        line = socket.create_connection(("shop.shop", 80), 3)
        line.sendall(f"GET / HTTP/1.1\\r\\nhost: shop.shop\\r\\n{head}\\r\\n".encode())
        return line
    held = send("connection: upgrade\\r\\nupgrade: websocket\\r\\n")
    result = held.recv(1000).decode().split()[1]
    state["held"] = held
    """
"""A request that lasts until it is let go."""
WAIT = HOLD.partition("    held =")[0] + "    state['waits'] = send('')"
LET_GO = "[state.pop(name).close() for name in ('held', 'waits') if name in state]"


@pytest.mark.parametrize(
    ("settings", "counted", "waits"),
    [
        ({"http": {"maxRequests": 1}}, "upstream_rq_active_overflow", False),
        (
            {
                "tcp": {"maxConnections": 1, "connectTimeout": "2s"},
                "http": {"maxPendingRequests": 1, "maxRequestsPerConnection": 1},
            },
            "upstream_rq_pending_overflow",
            True,
        ),
    ],
)
async def test_a_circuit_breaks_above_the_limit_and_closes_again(
    mesh: MeshUnderTest, settings: dict[str, Any], counted: str, *, waits: bool
) -> None:
    name = f"cluster.shop/shop|8000.{counted}"
    await put(mesh, setting("shop/shop", {"connectionSettings": settings}))
    before = await statistic(mesh, CLIENT, name)
    assert await mesh.run(CLIENT, HOLD) == "101"
    if waits:
        await mesh.run(CLIENT, WAIT)
    assert await statuses(mesh, "shop.shop") == {"status 503": 10}
    assert await statistic(mesh, CLIENT, name) - before == 10
    await mesh.run(CLIENT, LET_GO)

    async def closed() -> bool:
        return bool(await statuses(mesh, "shop.shop", requests=1) == {"200": 1})

    await mesh.wait_for(closed, "the circuit closes")
    await put(mesh)
    assert await mesh.run(CLIENT, HOLD) == "101"
    assert await statuses(mesh, "shop.shop") == {"200": 10}
    await mesh.run(CLIENT, LET_GO)
