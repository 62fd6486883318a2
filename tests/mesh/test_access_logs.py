"""Access logs that people ask for: on the proxies' output, and at an OpenTelemetry collector."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from osm.core.envoy.filters.access_log import DEFAULT_FORMAT
from osm.local.proxy import ADMIN_SOCKET, ask_admin
from osm.testing.observation import extension_service, telemetry

from .collector import Collector
from .harness import MeshUnderTest, local_mesh, mesh_config, puppet, service

PORTS = ((80, 8000, "http"), (9000, 9000, "tcp"))
APPS = "---".join(
    (
        puppet("client"),
        puppet("shop", arguments=("--echo", "9000")),
        service("shop", ports=PORTS),
    )
)
COLLECTOR = "---".join(
    (
        puppet("otel")
        .replace('"osm.testing.puppet", "8000"', '"tests.mesh.collector", "4317", "8000"')
        .replace("path: /,", "path: /logs,"),
        service("otel", ports=((4317, 4317, "grpc"),)),
    )
)


def yaml(*documents: object) -> str:
    return "\n---\n".join(json.dumps(each) for each in documents)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(APPS + "---" + COLLECTOR)
    (directory / "config.yaml").write_text(mesh_config(permissive=True))
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        yield running


async def lines(mesh: MeshUnderTest, pod: str, *, error: bool = False) -> list[str]:
    """What a pod's proxy has printed."""
    found = mesh.api.logs(pod, tail=1000, follow=False)
    return [each.text async for each in found if each.container == "envoy" and each.error == error]


async def entries(mesh: MeshUnderTest, pod: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in await lines(mesh, pod) if line.startswith("{")]


async def settle(mesh: MeshUnderTest) -> None:
    """Wait until an edit counts. Of a connection that was there before, one more request is old."""
    await mesh.settle()
    await mesh.get("client/client-0", "http://shop.shop/last")


async def collected(mesh: MeshUnderTest) -> list[dict[str, Any]]:
    """What the collector in the mesh has got."""
    connection = await mesh.mesh.dial("otel", "otel-0", 8000)
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(b"GET /logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found: list[dict[str, Any]] = json.loads((await reader.read(-1)).partition(b"\r\n\r\n")[2])
    writer.close()
    return found


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_a_telemetry_nothing_but_refusals_is_logged(mesh: MeshUnderTest) -> None:
    assert (await mesh.get("client/client-0", "http://shop.shop/quiet"))[0] == 200
    assert await mesh.talk("client/client-0", "shop.shop", 9000) == ("answered", "ping")
    await asyncio.sleep(0.5)
    for pod in ("client/client-0", "shop/shop-0"):
        assert await lines(mesh, pod) == []


async def test_requests_and_connections_are_logged_on_both_sides(mesh: MeshUnderTest) -> None:
    mesh.write("log.yaml", yaml(telemetry("all", namespace="osm-system", text=None)))
    await settle(mesh)
    agent = {"User-Agent": 'a "tester"'}
    assert (await mesh.get("client/client-0", "http://shop.shop/a?b=c", headers=agent))[0] == 200
    assert await mesh.talk("client/client-0", "shop.shop", 9000) == ("answered", "ping")

    async def all_there() -> bool:
        both = [await entries(mesh, pod) for pod in ("client/client-0", "shop/shop-0")]
        return all(
            any(e["path"] == "/a?b=c" for e in found) and any(e["method"] is None for e in found)
            for found in both
        )

    await mesh.wait_for(all_there, "a request and a connection, on both sides")
    for pod, cluster in (("client/client-0", "shop/shop|8000"), ("shop/shop-0", "local")):
        (request,) = [e for e in await entries(mesh, pod) if e["path"] == "/a?b=c"]
        assert set(request) == set(DEFAULT_FORMAT) and len(request) == 19
        assert (request["method"], request["response_code"]) == ("GET", 200)
        assert (request["user_agent"], request["authority"]) == ('a "tester"', "shop.shop")
        assert cluster in request["upstream_cluster"]
        (connection,) = [e for e in await entries(mesh, pod) if e["method"] is None]
        assert (connection["bytes_received"], connection["bytes_sent"]) == (4, 4)


async def test_a_change_fails_no_request_and_counts_at_once(mesh: MeshUnderTest) -> None:
    """On one connection of the application, and one between the proxies, that live throughout."""
    program = """
        import http.client, time
        begun, answers, reused, connection = time.monotonic(), [], 0, None
        while time.monotonic() - begun < 4:
            if connection is None:
                connection = http.client.HTTPConnection("shop.shop", 80, timeout=5)
            else:
                reused += 1
            connection.request("GET", f"/during/{len(answers)}")
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)
            if answer.will_close:
                connection.close()
                connection = None
            time.sleep(0.05)
        result = [sorted(set(answers)), reused, len(answers)]
        """
    sending = asyncio.create_task(mesh.run("client/client-0", program))
    await asyncio.sleep(1)
    ours = telemetry("ours", namespace="shop", text="OURS %REQ_WITHOUT_QUERY(:PATH)% %PROTOCOL%")
    mesh.write("ours.yaml", yaml(ours))
    statuses, reused, count = await sending
    assert statuses == [200] and reused >= count - 5
    await mesh.wait_for(
        lambda: _is_logged(mesh, f"OURS /during/{count - 1} HTTP/2"),
        "the last one is logged",
        within=3,
    )
    first = next(line for line in await lines(mesh, "shop/shop-0") if line.startswith("OURS"))
    assert int(first.split("/")[2].split()[0]) < count - 30, "old connections kept the old format"


async def _is_logged(mesh: MeshUnderTest, line: str, pod: str = "shop/shop-0") -> bool:
    return line in await lines(mesh, pod)


async def test_a_selector_prevails_and_only_its_workloads_are_touched(mesh: MeshUnderTest) -> None:
    def version() -> dict[str, str]:
        """The listeners' versions by proxy."""
        plane = mesh.control_plane
        return {
            str(session.proxy.workload): "".join(
                sorted(
                    plane.distribution.lookup(number, _LISTENER, name).version  # type: ignore[union-attr]
                    for name in plane.distribution.own_names(number, _LISTENER)
                )
            )
            for number, session in plane.sessions.items()
        }

    before = version()
    selected = telemetry(
        "shops", namespace="shop", selector={"app": "shop"}, text="%PROTOCOL% mine"
    )
    mesh.write("selected.yaml", yaml(selected))
    await settle(mesh)
    after = version()
    assert {name for name in before if before[name] != after[name]} == {"shop-0"}
    assert (await mesh.get("client/client-0", "http://shop.shop/b"))[0] == 200
    await mesh.wait_for(lambda: _is_logged(mesh, "HTTP/2 mine"), "in the selected format")
    mesh.remove("selected.yaml")
    mesh.remove("ours.yaml")
    await settle(mesh)


_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


async def test_refusals_stay_apart_from_what_people_asked_for(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", mesh_config(permissive=False))
    await settle(mesh)
    assert (await mesh.get("client/client-0", "http://shop.shop/secret"))[0] == 403

    async def both() -> bool:
        ours = await lines(mesh, "shop/shop-0", error=True)
        theirs = [e for e in await entries(mesh, "shop/shop-0") if e["path"] == "/secret"]
        return any("denied source=" in line for line in ours) and bool(theirs)

    await mesh.wait_for(both, "a line of ours and one of theirs")
    assert all(
        line.startswith(("{", "OURS", "HTTP/2 mine")) for line in await lines(mesh, "shop/shop-0")
    )
    await mesh.wait_for(
        lambda: any(d.path == "/secret" for d in mesh.api.view().denials), "the refusal is shown"
    )
    mesh.write("config.yaml", mesh_config(permissive=True))
    await settle(mesh)


async def test_a_collector_in_the_mesh_gets_the_entries(mesh: MeshUnderTest) -> None:
    told = telemetry(
        "told",
        namespace="shop",
        text='{"path": "%REQ(:PATH)%", "agent": {"name": "%REQ(USER-AGENT)%"}, "n": 7}',
        collector="otel/otel",
        attributes={"status": "%RESPONSE_CODE%", "team": "books"},
    )
    where = extension_service(
        "otel", "otel.otel.svc.cluster.local", 4317, namespace="otel", protocol="h2c"
    )
    mesh.write("told.yaml", yaml(told, where))
    await settle(mesh)
    forged = {"User-Agent": '", "path": "/forged'}
    assert (await mesh.get("client/client-0", "http://shop.shop/told", headers=forged))[0] == 200

    async def arrived() -> bool:
        return bool(await collected(mesh))

    await mesh.wait_for(arrived, "the collector has it")
    (entry,) = await collected(mesh)
    assert entry["body"] == {"path": "/told", "agent": {"name": forged["User-Agent"]}, "n": "7"}
    assert entry["attributes"] == {"status": "200", "team": "books"}
    assert entry["resource"].items() >= {
        ("service.name", "shop"),
        ("service.namespace", "shop"),
        ("service.instance.id", "shop-0"),
    }
    assert not [f for f in mesh.api.view().findings if "OSM38" in str(f)]


async def test_a_collectors_own_proxy_does_not_tell_it_of_what_it_is_told(
    mesh: MeshUnderTest,
) -> None:
    everybody = telemetry("all", namespace="osm-system", collector="otel/otel")
    mesh.write("log.yaml", yaml(everybody))
    await settle(mesh)
    assert (await mesh.get("client/client-0", "http://shop.shop/once"))[0] == 200
    await asyncio.sleep(3)
    about = {entry["resource"]["service.name"] for entry in await collected(mesh)}
    assert about == {"client", "shop"}


async def test_without_its_collector_requests_go_on(mesh: MeshUnderTest) -> None:
    mesh.write("apps.yaml", APPS)
    await settle(mesh)
    for number in range(5):
        assert (await mesh.get("client/client-0", f"http://shop.shop/alone/{number}"))[0] == 200

    async def logged() -> bool:
        return any(e["path"] == "/alone/4" for e in await entries(mesh, "client/client-0"))

    await mesh.wait_for(logged, "it is printed all the same")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_collector_beyond_the_mesh_gets_the_entries(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "apps.yaml").write_text(APPS)
    (tmp_path / "config.yaml").write_text(mesh_config(permissive=True))
    with Collector() as collector:
        where = extension_service(
            "otel", "127.0.0.1", collector.grpc_port, protocol="h2c", connectTimeout="1s"
        )
        told = telemetry("told", namespace="client", text="%REQ(:PATH)%", collector="default/otel")
        (tmp_path / "told.yaml").write_text(yaml(where, told))
        state = tmp_path_factory.mktemp("state")
        async with local_mesh(tmp_path, state, isolation="none") as mesh:
            await mesh.wait_ready(2)
            assert (await mesh.get("client/client-0", "http://shop.shop/far"))[0] == 200
            await mesh.wait_for(lambda: bool(collector.logs), "the collector has it")
            assert [entry["body"] for entry in collector.logs] == ["/far"]
            cluster = f"extension|127.0.0.1|{collector.grpc_port}|h2|1000000000"
            admin = mesh.runtime / "pods" / "client.client-0"
            assert (admin / ADMIN_SOCKET).exists()
            text = (await ask_admin(admin, "/config_dump?resource=dynamic_active_clusters"))[1]
            (found,) = [
                each["cluster"]
                for each in json.loads(text)["configs"]
                if each["cluster"]["name"] == cluster
            ]
            assert found["connect_timeout"] == "1s"
