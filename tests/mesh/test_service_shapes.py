"""One pod behind several services, one service with several ports, and protocols by names of ports."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from .harness import MeshUnderTest, http_access, local_mesh, puppet, stateful, tcp_access

CLIENT, WEB, ECHO, BANNER = "client/client-0", 8000, 9000, 9001
NAMED = [
    {"name": "http-web", "port": 80, "targetPort": WEB},
    {"name": "web", "port": 81, "targetPort": WEB},
    {"name": "tcp-echo", "port": ECHO, "targetPort": ECHO},
    {"name": "tcp-server-first-hello", "port": BANNER, "targetPort": BANNER},
]
PREVAILING = [
    # `appProtocol` counts more than the name.
    {"name": "http-echo", "port": 7000, "targetPort": ECHO, "appProtocol": "tcp"},
    {"name": "tcp-web", "port": 7001, "targetPort": WEB, "appProtocol": "http"},
]


def shaped(
    name: str, ports: list[dict[str, object]], *, app: str = "server", **more: object
) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": app},
            "spec": {"selector": {"app": app}, "ports": ports, **more},
        }
    )


SPEAKS = (f"--echo={ECHO}", f"--banner={BANNER}")
OBJECTS = "\n---\n".join(
    (
        puppet("client"),
        puppet("server", arguments=SPEAKS),
        stateful("set", arguments=SPEAKS, replicas=2),
        shaped("named", NAMED),
        shaped("prevailing", PREVAILING),
        shaped("set", NAMED, app="set", clusterIP="None"),
        shaped("again", NAMED, app="set", clusterIP="None"),
        *(http_access("web", f"{name}/{name}", ("client/client",)) for name in ("server", "set")),
        *(tcp_access("tcp", f"{name}/{name}", ("client/client",)) for name in ("server", "set")),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(4)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("host", "port", "who"),
    [
        ("named.server", 80, "server-0"),
        ("named.server", 81, "server-0"),
        ("prevailing.server", 7001, "server-0"),
        ("set-0.set.set", 80, "set-0"),
        ("set-1.set.set.svc.cluster.local", 81, "set-1"),
    ],
)
async def test_http_by_the_names_of_ports(
    mesh: MeshUnderTest, host: str, port: int, who: str
) -> None:
    status, headers, body = await mesh.get(CLIENT, f"http://{host}:{port}/")
    assert (status, headers["server"]) == (200, "envoy")
    seen = json.loads(body)
    assert seen["name"] == who and "ns/client/sa/client" in seen["caller"]


@pytest.mark.parametrize(
    ("host", "port", "data", "expected"),
    [
        ("named.server", ECHO, "who", "server-0"),
        ("named.server", BANNER, "", "hello from server-0"),
        ("prevailing.server", 7000, "who", "server-0"),
        ("set-0.set.set", ECHO, "who", "set-0"),
        ("set-1.set.set", ECHO, "who", "set-1"),
        ("set-1.set.set", BANNER, "", "hello from set-1"),
    ],
)
async def test_tcp_by_the_names_of_ports(
    mesh: MeshUnderTest, host: str, port: int, data: str, expected: str
) -> None:
    outcome, text = await mesh.talk(CLIENT, host, port, data)
    assert (outcome, text.strip()) == ("answered", expected)


async def test_a_headless_service_stands_for_all_its_pods(mesh: MeshUnderTest) -> None:
    """Also the second one of the same pods, whose stable names are the other's."""
    for host in ("set.set", "again.set"):
        names = await mesh.count(CLIENT, host, 80, requests=40)
        assert set(names) == {"set-0", "set-1"}, names
        outcome, text = await mesh.talk(CLIENT, host, ECHO, "who")
        assert outcome == "answered" and text.strip() in ("set-0", "set-1")
    assert (await mesh.get(CLIENT, "http://set-0.again.set/"))[0] == 404
