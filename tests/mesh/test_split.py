"""TrafficSplit through real proxies: shares, spellings of the root, matches, changes under load."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, local_mesh, mesh_config, puppet, service, split

CLIENT = "client/client-0"
ECHO = 9000
PORTS = ((80, 8000, "http"), (ECHO, ECHO, "tcp"))


def _version(name: str) -> str:
    """One version of the shop, with the label that the root service selects."""
    return puppet(name, namespace="shop", labels={"tier": "shop"}, arguments=(f"--echo={ECHO}",))


OBJECTS = "---".join(
    (
        puppet("client"),
        _version("v1"),
        _version("v2"),
        service("shop", selector={"tier": "shop"}, ports=PORTS),
        service("v1", namespace="shop", ports=PORTS),
        service("v2", namespace="shop", ports=PORTS),
        mesh_config(permissive=True),
    )
)
V1, V2 = "v1-0", "v2-0"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(mesh: MeshUnderTest, weights: dict[str, int], root: str = "shop") -> None:
    mesh.write("split.yaml", split("shop", "shop", root, weights))
    await mesh.settle()


@pytest.mark.parametrize(
    ("first", "second"), [(100, 0), (50, 50), (0, 100), (90, 10), (1, 3), (0, 1)]
)
async def test_a_thousand_requests_are_shared_within_five_percent(
    mesh: MeshUnderTest, first: int, second: int
) -> None:
    await put(mesh, {"v1": first, "v2": second})
    counts = await mesh.count(CLIENT, "shop.shop", requests=1000)
    assert set(counts) <= {V1, V2}, counts
    share = counts.get(V1, 0) / 1000
    wanted = first / (first + second)
    assert share == wanted if wanted in (0, 1) else abs(share - wanted) <= 0.05, counts


@pytest.mark.parametrize(
    "root",
    ["shop", "shop.shop", "shop.shop.svc", "shop.shop.svc.cluster", "shop.shop.svc.cluster.local"],
)
async def test_the_root_service_may_be_spelled_in_every_way(mesh: MeshUnderTest, root: str) -> None:
    await put(mesh, {"v2": 1}, root=root)
    assert await mesh.count(CLIENT, "shop.shop", requests=20) == {V2: 20}
    await put(mesh, {"v1": 1}, root=root)
    for host in ("shop.shop.svc", "shop.shop.svc.cluster.local"):
        assert await mesh.count(CLIENT, host, requests=20) == {V1: 20}


async def test_a_leaf_that_is_called_by_its_own_name_is_not_split(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 1})
    assert await mesh.count(CLIENT, "v2.shop", requests=10) == {V2: 10}


async def test_the_root_may_be_a_backend_of_itself(mesh: MeshUnderTest) -> None:
    await put(mesh, {"shop": 1})
    counts = await mesh.count(CLIENT, "shop.shop", requests=100)
    assert counts.keys() == {V1, V2}


async def tcp_answers(mesh: MeshUnderTest, connections: int) -> list[str]:
    program = f"result = [talk('shop.shop', {ECHO}, 'who')[1] for _ in range({connections})]"
    found: list[str] = await mesh.run(CLIENT, program, timeout=60)
    return found


async def test_tcp_connections_are_split_too(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 0, "v2": 100})
    assert set(await tcp_answers(mesh, 20)) == {V2}
    await put(mesh, {"v1": 100, "v2": 0})
    assert set(await tcp_answers(mesh, 20)) == {V1}
    await put(mesh, {"v1": 50, "v2": 50})
    found = await tcp_answers(mesh, 400)
    assert set(found) == {V1, V2}
    assert abs(found.count(V1) / 400 - 0.5) <= 0.1


async def test_a_live_tcp_connection_survives_a_change_of_weights(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 1, "v2": 0})
    opening = f"""
        import socket
        state["line"] = socket.create_connection(("shop.shop", {ECHO}), 3)
        """
    asking = "state['line'].sendall(b'who'); result = state['line'].recv(100).decode()"
    await mesh.run(CLIENT, opening)
    assert await mesh.run(CLIENT, asking) == V1
    await put(mesh, {"v1": 0, "v2": 1})
    assert set(await tcp_answers(mesh, 5)) == {V2}
    assert await mesh.run(CLIENT, asking) == V1
    await mesh.run(CLIENT, "state.pop('line').close()")


async def test_weights_that_add_up_to_nothing_give_503(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 0, "v2": 0})
    status, _, body = await mesh.ask(CLIENT, "shop.shop")
    assert status == 503 and "TrafficSplit shop/shop" in body
    assert (await mesh.talk(CLIENT, "shop.shop", ECHO))[0] == "closed"


async def test_a_missing_backend_is_reported_and_the_rest_takes_all(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 50, "nobody": 50})
    assert await mesh.count(CLIENT, "shop.shop", requests=50) == {V1: 50}
    texts = [f.message for f in mesh.api.findings() if f.origin and f.origin.kind == "TrafficSplit"]
    assert any("'nobody'" in text and "gets no traffic" in text for text in texts), texts


async def test_a_second_split_of_a_service_is_reported_and_has_no_effect(
    mesh: MeshUnderTest,
) -> None:
    both = split("shop", "shop", "shop", {"v1": 1}) + "---" + split("z", "shop", "shop", {"v2": 1})
    mesh.write("split.yaml", both)
    await mesh.settle()
    assert await mesh.count(CLIENT, "shop.shop", requests=20) == {V1: 20}
    assert any("already splits" in f.message for f in mesh.api.findings())


async def test_a_split_with_matches_moves_only_the_requests_that_fit(mesh: MeshUnderTest) -> None:
    group = """
        apiVersion: specs.smi-spec.io/v1alpha4
        kind: HTTPRouteGroup
        metadata: {name: testers, namespace: shop}
        spec:
          matches:
            - name: firefox
              pathRegex: ".*"
              methods: ["*"]
              headers: [{user-agent: ".*Firefox.*"}, {x-group: "a|b"}]
            - {name: beta, pathRegex: "/beta/.*", methods: [GET]}
        """
    mesh.write("group.yaml", group)
    mesh.write("split.yaml", split("shop", "shop", "shop", {"v2": 1}, matches=("testers",)))
    await mesh.settle()
    fits = {"user-agent": "Firefox/1", "x-group": "b"}
    assert await mesh.count(CLIENT, "shop.shop", requests=50, headers=fits) == {V2: 50}
    assert await mesh.count(CLIENT, "shop.shop", 80, "/beta/x?y", requests=50) == {V2: 50}
    for headers in ({"user-agent": "Firefox/1"}, {**fits, "x-group": "ab"}, {}):
        counts = await mesh.count(CLIENT, "shop.shop", requests=100, headers=headers)
        assert counts.keys() == {V1, V2}, "other requests go to the root service"
    mesh.remove("group.yaml")


async def test_removing_the_split_gives_the_traffic_back_to_the_root(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 1})
    mesh.remove("split.yaml")
    await mesh.settle()
    assert (await mesh.count(CLIENT, "shop.shop", requests=100)).keys() == {V1, V2}


async def test_an_edit_of_the_weights_moves_the_traffic_within_a_second(
    mesh: MeshUnderTest,
) -> None:
    await put(mesh, {"v1": 1, "v2": 0})
    for leaf, pod in (("v2", V2), ("v1", V1), ("v2", V2)):
        mesh.write("split.yaml", split("shop", "shop", "shop", {leaf: 1}))
        started = time.monotonic()

        async def moved(pod: str = pod) -> bool:
            return bool(await mesh.count(CLIENT, "shop.shop", requests=5) == {pod: 5})

        await mesh.wait_for(moved, "the traffic moves", within=2)
        assert time.monotonic() - started < 1


async def test_no_request_fails_while_the_weights_change_twenty_times(mesh: MeshUnderTest) -> None:
    await put(mesh, {"v1": 1, "v2": 0})
    load = [
        asyncio.create_task(mesh.count(CLIENT, "shop.shop", seconds=6, rate=100)),
        # New connections all the time, too.
        asyncio.create_task(mesh.count(CLIENT, "shop.shop", seconds=6, rate=50, reconnect_every=1)),
    ]
    for turn in range(20):
        weights = {"v1": turn * 5, "v2": 100 - turn * 5}
        mesh.write("split.yaml", split("shop", "shop", "shop", weights))
        await asyncio.sleep(0.25)
    for counts in await asyncio.gather(*load):
        assert set(counts) == {V1, V2}, counts
        assert sum(counts.values()) > 200
