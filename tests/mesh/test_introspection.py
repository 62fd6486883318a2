"""What people see of real proxies: what each holds, and whether it runs what it should."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from osm.core.envoy import render
from osm.core.envoy.catalog import Value
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.xds.resource import Resource, make_resource

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, split, tcp_access
from .process import Output

ECHO = 9000
PORTS = ((80, 8000, "http"), (ECHO, ECHO, "tcp"))
BUYER, SHOP = "buyer/buyer-0", "shop/v1-0"
APPS = "---".join(
    (
        puppet("buyer"),
        puppet("v1", namespace="shop", labels={"tier": "shop"}, arguments=(f"--echo={ECHO}",)),
        puppet("v2", namespace="shop", labels={"tier": "shop"}, arguments=(f"--echo={ECHO}",)),
        service("shop", selector={"tier": "shop"}, ports=PORTS),
        service("v1", namespace="shop", ports=PORTS),
        service("v2", namespace="shop", ports=PORTS),
        split("half", "shop", "shop", {"v1": 1, "v2": 1}),
        *(
            http_access(f"http-{name}", f"shop/{name}", ("buyer/buyer",), path="/.*")
            for name in ("v1", "v2")
        ),
        *(
            tcp_access(f"tcp-{name}", f"shop/{name}", ("buyer/buyer",), (ECHO,))
            for name in ("v1", "v2")
        ),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(APPS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.settle()
        await use(running)
        yield running


async def use(mesh: MeshUnderTest) -> None:
    """Call the shop over HTTP and over TCP until it answers both."""

    async def answers() -> bool:
        status, _, _ = await mesh.ask(BUYER, "shop.shop")
        outcome, _ = await mesh.talk(BUYER, "shop.shop", ECHO)
        return (status, outcome) == (200, "answered")

    for _ in range(4):
        await mesh.wait_for(answers, "the shop answers")


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def osm(mesh: MeshUnderTest, *words: str) -> Output:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "osm", *words, "--mesh", mesh.name,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Output(process.returncode, out.decode(), err.decode())


async def kinds(mesh: MeshUnderTest, proxy: str) -> dict[str, dict[str, Any]]:
    (found,) = (await osm(mesh, "proxy", "status", proxy, "-o", "json")).json()["items"]
    return {each["type"]: each for each in found["types"]}


async def test_every_proxy_runs_what_it_should(mesh: MeshUnderTest) -> None:
    result = await osm(mesh, "proxy", "diff", "--all")
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [BUYER, SHOP, "shop/v2-0"]
    assert all(": in sync, " in line for line in lines)


async def test_what_was_used_is_what_was_compared(mesh: MeshUnderTest) -> None:
    (item,) = (await osm(mesh, "proxy", "diff", BUYER, "-o", "json")).json()["items"]
    held = await kinds(mesh, BUYER)
    assert {"CDS", "EDS", "LDS", "RDS", "VHDS", "SDS", "RTDS"} <= held.keys()
    assert item["byVersion"] + item["byContent"] == sum(each["resources"] for each in held.values())
    assert (await kinds(mesh, SHOP))["ECDS"]["resources"] == 1


async def test_what_a_proxy_asked_for_and_acknowledged_is_counted(mesh: MeshUnderTest) -> None:
    before = await kinds(mesh, BUYER)
    assert before["CDS"]["wildcard"] and before["CDS"]["subscribed"] >= 3  # two of HTTP, one of TCP
    assert all(each["sent"] == each["acknowledged"] for each in before.values())
    mesh.write("more.yaml", service("other", namespace="shop", selector={"app": "v1"}))
    await mesh.settle()
    assert (await mesh.ask(BUYER, "other.shop"))[0] == 200
    after = await kinds(mesh, BUYER)
    assert after["CDS"]["resources"] == before["CDS"]["resources"] + 1
    assert after["EDS"]["bytes"] > before["EDS"]["bytes"]
    assert after["EDS"]["sentAgoS"] < before["EDS"]["sentAgoS"] + 60
    assert (await osm(mesh, "proxy", "diff", BUYER)).code == 0


@contextmanager
def broken_routes(mesh: MeshUnderTest) -> Iterator[None]:
    """A mistake in our builder of routes: two virtual hosts for all authorities, which Envoy refuses."""

    def broken(value: Value) -> Resource:
        good = render.render(value)
        if not isinstance(value, InboundRoutes):
            return good
        message = render.build(value)
        message.virtual_hosts.add(name="again", domains=["*"])  # type: ignore[attr-defined]
        return make_resource(good.name, message, origins=good.origins)

    distribution = mesh.control_plane.distribution
    before, distribution._render = distribution._render, broken
    yield
    distribution._render = before


async def test_a_refusal_is_a_difference_that_names_the_object_at_fault(
    mesh: MeshUnderTest,
) -> None:
    good = (mesh.directory / "apps.yaml").read_text()
    rule = http_access("http-v1", "shop/v1", ("buyer/buyer",), path="/.*")
    with broken_routes(mesh):
        mesh.write("apps.yaml", good.replace(rule, rule.replace("/.*", "/b.*")))
        await mesh.wait_for(
            lambda: any(kind.refuses for p in mesh.api.view().proxies for kind in p.types),
            "a proxy refuses",
        )

    status = await osm(mesh, "proxy", "status", SHOP)
    assert status.code == 1
    assert "Status:      Refused\n" in status.out
    assert "  RDS: Only a single wildcard domain is permitted" in status.out
    assert "\n    from HTTPRouteGroup shop/http-v1 spec.matches[0]" in status.out

    difference = await osm(mesh, "proxy", "diff", SHOP)
    assert difference.code == 1
    assert "  different routes rds-inbound.8000: runs version " in difference.out
    assert "\n    +- domains:\n    +  - '*'\n    +  name: again\n" in difference.out
    assert "  It refused RDS: Only a single wildcard domain" in difference.out

    whole = await osm(mesh, "status")
    assert whole.code == 1
    assert (
        f"proxy {SHOP} refused its RDS configuration, because of HTTPRouteGroup shop/http-v1"
        in whole.out
    )
    assert (await mesh.ask(BUYER, "v1.shop", 80, "/"))[0] == 200  # the last good one is in force

    mesh.write("apps.yaml", good)
    await mesh.settle()
    assert (await osm(mesh, "proxy", "diff", "--all")).code == 0
    assert (await osm(mesh, "proxy", "status", SHOP)).code == 0


async def test_private_keys_are_in_neither_answer(mesh: MeshUnderTest) -> None:
    expected = [each for each in mesh.api.proxy_expected(SHOP) if each.type == "SDS"]
    assert {"service-cert", "root-cert"} <= {each.name for each in expected}
    running = json.loads(await mesh.api.proxy_admin(SHOP, "config_dump"))
    told = json.dumps([running, [each.config for each in expected]])
    assert "W3JlZGFjdGVkXQ==" in told  # [redacted]
    assert "UFJJVkFURSBLRVk" not in told  # PRIVATE KEY


async def test_of_a_proxy_that_is_away_nobody_can_tell(mesh: MeshUnderTest) -> None:
    result = await osm(mesh, "proxy", "diff", "nobody")
    assert (result.code, result.out) == (2, "")
    assert "There is no workload nobody." in result.err
