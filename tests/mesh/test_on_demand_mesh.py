"""On-demand discovery in a whole mesh: many services, few in use, and a client that asks for anything."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from osm.core.xds import types
from osm.local.proxy import ask_admin

from .harness import MeshUnderTest, local_mesh, mesh_config, puppet, service

CLIENT = "client/client-0"
ECHO = 9000
SERVICES = 100
OBJECTS = "---".join(
    (
        mesh_config(permissive=True),
        puppet("client"),
        puppet("gate", annotations={"openservicemesh.io/discovery": "eager"}),
        puppet("shop", arguments=(f"--echo={ECHO}",)),
        service("shop", ports=((80, 8000, "http"), (ECHO, ECHO, "tcp"))),
        *(
            service(
                f"s{number}",
                namespace="shop",
                selector={"app": "shop"},
                ports=((80, 8000, "http"), (ECHO, ECHO, "tcp")),
            )
            for number in range(SERVICES)
        ),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "objects.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def envoy(mesh: MeshUnderTest, path: str, pod: str = CLIENT) -> str:
    """What the admin interface of a pod's proxy says."""
    directory = mesh.runtime / "pods" / pod.replace("/", ".")
    _, body = await ask_admin(directory, path, timeout=10)
    return body.decode()


async def heap_kb(mesh: MeshUnderTest) -> int:
    return int(json.loads(await envoy(mesh, "/memory"))["allocated"]) // 1024


async def held_hosts(mesh: MeshUnderTest, pod: str = CLIENT) -> list[str]:
    dump = json.loads(await envoy(mesh, "/config_dump?resource=dynamic_route_configs", pod))
    routes = (config["route_config"] for config in dump.get("configs", []))
    return [host["name"] for each in routes for host in each.get("virtual_hosts", [])]


async def status_by_host(mesh: MeshUnderTest, hosts: list[str]) -> dict[str, int]:
    """Requests with these authorities at once, each on a connection of its own to `shop.shop:80`."""
    program = f"""
        import concurrent.futures
        hosts = {hosts!r}
        def one(host):
            try:
                return ask("shop.shop", 80, headers=[("host", host)])[0]
            except OSError:
                return 0
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            result = dict(zip(hosts, pool.map(one, hosts)))
        """
    found: dict[str, int] = await mesh.run(CLIENT, program, timeout=60)
    return found


async def test_a_proxy_holds_what_it_uses_and_no_request_of_many_first_ones_is_lost(
    mesh: MeshUnderTest,
) -> None:
    assert await held_hosts(mesh) == []
    one = [f"s0.shop{end}" for end in ("", ":80", ".svc", ".svc.cluster.local:80")]
    assert set((await status_by_host(mesh, one)).values()) == {200}
    assert len(await held_hosts(mesh)) == 1
    hosts = [f"s{number}.shop" for number in range(50)]
    assert set((await status_by_host(mesh, hosts)).values()) == {200}
    assert len(await held_hosts(mesh)) == 50
    assert "s60" not in await envoy(mesh, "/clusters")


async def test_an_unknown_name_is_refused_at_once_and_explained(mesh: MeshUnderTest) -> None:
    program = 'result = ask("shop.shop", 80, headers=[("host", "nobody.here")])'
    status, headers, body = await mesh.run(CLIENT, program, timeout=2)
    assert (status, headers["x-osm-reason"]) == (404, "unknown-host")
    assert body == "osm: the mesh knows no HTTP service by the name and port of nobody.here\n"


async def test_a_service_may_come_and_go_and_come_again_after_it_was_asked_for(
    mesh: MeshUnderTest,
) -> None:
    late = service("late", namespace="shop", selector={"app": "shop"})
    program = 'result = ask("shop.shop", 80, headers=[("host", "late.shop")])[0]'

    async def answers(status: int) -> bool:
        return bool(await mesh.run(CLIENT, program) == status)

    assert await answers(404)
    for _ in range(2):
        mesh.write("late.yaml", late)
        await mesh.wait_for(lambda: answers(200), "the service is there", within=3)
        mesh.remove("late.yaml")
        await mesh.wait_for(lambda: answers(404), "the service is gone", within=3)


async def test_a_client_that_asks_for_anything_does_not_make_its_proxy_grow(
    mesh: MeshUnderTest,
) -> None:
    names = [f"no{number}.here" for number in range(400)]

    async def scan(start: int) -> set[str]:
        program = f"""
            import concurrent.futures
            def one(n):
                return talk(f"240.77.{{n // 250}}.{{n % 250 + 1}}", {ECHO + 1})[0]
            with concurrent.futures.ThreadPoolExecutor(50) as pool:
                result = sorted(set(pool.map(one, range({start}, {start} + 400))))
            """
        return set(await mesh.run(CLIENT, program, timeout=60))

    assert set((await status_by_host(mesh, names)).values()) == {404}
    assert await scan(0) <= {"closed", "refused"}
    await mesh.settle()
    before = await heap_kb(mesh)
    for again in range(3):
        more = [f"no{number}.{again}.here" for number in range(400)]
        assert set((await status_by_host(mesh, more)).values()) == {404}
        assert await scan(1000 * (again + 1)) <= {"closed", "refused"}
    # Each of 1,200 names would cost half a kB, each of 1,200 addresses 25 kB.
    assert await heap_kb(mesh) - before < 1000
    subscribed = sum(
        status.subscribed
        for session in mesh.control_plane.sessions.values()
        if session.proxy.workload == "client-0"
        for status in session.type_status(0.0)
    )
    assert subscribed < 2500
    assert [f.code for f in mesh.api.findings() if str(f.origin) == f"Pod {CLIENT}"] == ["OSM905"]
    # And nothing that there is has become unreachable: not by a name, not by an address, not later.
    hosts = [f"s{number}.shop" for number in range(90, 100)]
    assert set((await status_by_host(mesh, hosts)).values()) == {200}
    for number in range(90, 95):
        assert await mesh.talk(CLIENT, f"s{number}.shop", ECHO) == ("answered", "ping")
    mesh.write("later.yaml", service("later", namespace="shop", selector={"app": "shop"}))
    await mesh.settle()
    assert await status_by_host(mesh, ["later.shop:80"]) == {"later.shop:80": 200}
    address = next(
        ip
        for port in mesh.control_plane.model.services.values()
        if port.name.service.name == "s99" and port.name.port == 80
        for ip in port.addresses
    )
    assert (await mesh.ask(CLIENT, address, 80))[0] == 200


async def test_an_eager_proxy_holds_everything_and_asks_for_nothing(mesh: MeshUnderTest) -> None:
    gate = "gate/gate-0"

    def asked() -> set[str]:
        stream = mesh.control_plane.by_proxy()[gate].stream
        kinds = (types.CLUSTER, types.VIRTUAL_HOST)
        return {name for kind in kinds for name in stream.types[kind].names}

    hosts = set(await held_hosts(mesh, gate))
    assert hosts >= {f"rds-outbound.80/shop|s{number}" for number in range(SERVICES)}
    clusters = await envoy(mesh, "/clusters", gate)
    assert all(f"shop/s{number}|8000::" in clusters for number in range(SERVICES))
    assert (await mesh.get(gate, "http://s77.shop/"))[0] == 200
    assert (await mesh.ask(gate, "shop.shop", headers=[("host", "nobody.shop")]))[0] == 404
    assert (await mesh.talk(gate, "s77.shop", ECHO))[0] == "answered"
    assert (await mesh.talk(gate, "s77.shop", ECHO + 1))[0] != "answered"
    mesh.write(
        "late.yaml",
        service("late", namespace="shop", selector={"app": "shop"}, ports=((80, 8000, "http"),)),
    )
    await mesh.settle()
    assert (await mesh.get(gate, "http://late.shop/"))[0] == 200
    assert asked() == set()
    mesh.remove("late.yaml")
    await mesh.settle()
    assert "rds-outbound.80/shop|late" not in await held_hosts(mesh, gate)
