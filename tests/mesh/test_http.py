"""HTTP through two real proxies: access, modes, splits, names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .harness import MeshUnderTest, http_access, local_mesh, mesh_config, puppet, service

SHOP = service("shop", ports=((80, 8000, "http"), (8081, 8000, "http")))
OBJECTS = "---".join((puppet("buyer"), puppet("thief"), puppet("shop"), SHOP))
BUYER, THIEF = "buyer/buyer-0", "thief/thief-0"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status(mesh: MeshUnderTest, pod: str, url: str, **options: object) -> int:
    return (await mesh.get(pod, url, **options))[0]  # type: ignore[arg-type]


async def test_without_policies_nobody_may_call_and_the_answer_says_why(
    mesh: MeshUnderTest,
) -> None:
    code, headers, body = await mesh.get(BUYER, "http://shop.shop/x")
    assert code == 403
    assert "no-access-rule-for-source" in headers["x-osm-denied"]
    assert "spiffe://cluster.local/ns/buyer/sa/buyer may not GET /x of shop/shop" in body


async def test_a_traffic_target_lets_its_sources_in_and_nobody_else(mesh: MeshUnderTest) -> None:
    rule = http_access("buyers", "shop/shop", ("buyer/buyer",), path="/buy.*", methods=("GET",))
    mesh.write("access.yaml", rule)

    async def allowed() -> bool:
        return await status(mesh, BUYER, "http://shop.shop/buy/1") == 200

    took = await mesh.wait_for(allowed, "the new rule allows", within=3)
    assert took < 2
    code, _, body = await mesh.get(BUYER, "http://shop.shop/buy/1?q=1")
    assert code == 200
    assert "URI=spiffe://cluster.local/ns/buyer/sa/buyer" in body
    assert await status(mesh, BUYER, "http://shop.shop/sell") == 403
    assert await status(mesh, BUYER, "http://shop.shop/buy", method="DELETE") == 403
    assert await status(mesh, THIEF, "http://shop.shop/buy/1") == 403


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.shop/buy",
        "http://shop.shop.svc/buy",
        "http://shop.shop.svc.cluster/buy",
        "http://shop.shop.svc.cluster.local/buy",
        "http://shop.shop:80/buy",
        "http://shop.shop.svc.cluster.local:8081/buy",
    ],
)
async def test_a_service_has_all_of_its_names_and_ports(mesh: MeshUnderTest, url: str) -> None:
    assert await status(mesh, BUYER, url) == 200


async def test_a_service_is_reached_by_its_address(mesh: MeshUnderTest) -> None:
    program = "import socket; result = socket.gethostbyname('shop.shop')"
    address = await mesh.run(BUYER, program)
    assert address.startswith("240.")
    assert await status(mesh, BUYER, f"http://{address}/buy") == 200
    assert await status(mesh, THIEF, f"http://{address}/buy") == 403


@pytest.mark.parametrize(
    "path",
    [
        "/buy/../sell",
        "/buy/%2e%2e/sell",
        "/buy/.%2e/sell",
        "/buy/..%2fsell",
        "/buy/..\\sell",
        "/buy/..%5csell",
        "//sell",
        "/sell?/buy",
    ],
)
async def test_no_spelling_of_a_path_gets_around_a_rule(mesh: MeshUnderTest, path: str) -> None:
    assert await status(mesh, BUYER, "http://shop.shop" + path) in (307, 400, 403)


async def test_an_unknown_host_is_answered_at_once(mesh: MeshUnderTest) -> None:
    code, _, _ = await mesh.get(BUYER, "http://shop.shop/", headers={"Host": "nobody.nowhere"})
    assert code == 404


async def test_permissive_mode_lets_all_through_and_smi_mode_stops_it_again(
    mesh: MeshUnderTest,
) -> None:
    mesh.write("config.yaml", mesh_config(permissive=True))

    async def thief_gets(code: int) -> bool:
        return await status(mesh, THIEF, "http://shop.shop/anything") == code

    assert await mesh.wait_for(lambda: thief_gets(200), "permissive mode", within=3) < 2
    mesh.write("config.yaml", mesh_config(permissive=False))
    assert await mesh.wait_for(lambda: thief_gets(403), "SMI mode", within=3) < 2


async def test_removing_a_rule_takes_access_away_within_a_second(mesh: MeshUnderTest) -> None:
    assert await status(mesh, BUYER, "http://shop.shop/buy") == 200
    mesh.remove("access.yaml")

    async def denied() -> bool:
        return await status(mesh, BUYER, "http://shop.shop/buy") == 403

    assert await mesh.wait_for(denied, "the rule is gone", within=2) < 1
