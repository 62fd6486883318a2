"""What goes around the proxy reaches plain servers unseen by it, and nothing else does."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from osm.core.model.way_out import HOST_NAME
from osm.local import gateway
from osm.local.relay import Connection
from osm.runtime import way_out
from osm.testing.builders import egress, mesh_config

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service

EXCLUDED, OTHERS = "198.51.100.7", "203.0.113.7"
PREFIX = "openservicemesh.io/"
WEB, PLAIN = 8000, 7000
"""Both are served by the same program; calls to the second go around everything."""
LISTS = {
    "ports": {"outbound-port-exclusion-list": f"{PLAIN}, 80"},
    "ranges": {"outbound-ip-range-exclusion-list": "198.51.100.0/24"},
    "included": {"outbound-ip-range-inclusion-list": "203.0.113.0/24"},
}


def caller(name: str) -> str:
    return puppet(name, annotations={PREFIX + key: value for key, value in LISTS[name].items()})


OBJECTS = "---".join(
    (
        *(caller(name) for name in LISTS),
        puppet("usual"),
        puppet("server", annotations={PREFIX + "inbound-port-exclusion-list": str(WEB)}),
        service("server", ports=((80, WEB, "http"), (PLAIN, WEB, "http"))),
        puppet("closed"),
        service("closed", ports=((80, WEB, "http"), (PLAIN, WEB, "http"))),
        http_access("web", "server/server", ("usual/usual",)),
    )
)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(head.decode().split("\r\n")[:-2]).encode()
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(f"HTTP/1.1 200 OK\r\n{length}".encode() + body)
    await writer.drain()
    writer.close()


async def _look_up(name: str) -> Sequence[str]:
    return [EXCLUDED] if name == "outside.test" else []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with await asyncio.start_server(_answer, "127.0.0.1") as beyond:
        port = beyond.sockets[0].getsockname()[1]

        async def leave(address: str, wanted: int) -> Connection:
            """Whatever is called beyond the mesh answers, but for this machine itself."""
            assert address in (EXCLUDED, OTHERS, "127.0.0.1"), (address, wanted)
            return await asyncio.open_connection("127.0.0.1", port)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(way_out, "look_up", _look_up)
            patch.setattr(gateway, "_open", leave)
            async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
                await running.wait_ready(6)
                yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def seen(mesh: MeshUnderTest, caller: str, host: str, port: int) -> list[str] | int:
    """The lines of the request as a server beyond the mesh got them, or the status of a refusal."""
    status, _, body = await mesh.get(f"{caller}/{caller}-0", f"http://{host}:{port}/")
    lines: list[str] = json.loads(body) if status == 200 else []
    return lines or status


@pytest.mark.parametrize(
    ("caller", "address", "port", "around"),
    [
        ("usual", EXCLUDED, PLAIN, False),
        ("usual", OTHERS, 9999, False),
        ("ports", EXCLUDED, PLAIN, True),
        ("ports", OTHERS, PLAIN, True),
        ("ports", EXCLUDED, 7001, False),
        ("ranges", EXCLUDED, PLAIN, True),
        ("ranges", EXCLUDED, 7001, True),
        ("ranges", OTHERS, PLAIN, False),
        ("included", EXCLUDED, 7001, True),
        ("included", OTHERS, 7001, False),
    ],
)
async def test_what_is_excluded_leaves_without_policy_and_unchanged(
    mesh: MeshUnderTest,
    caller: str,
    address: str,
    port: int,
    around: bool,  # noqa: FBT001
) -> None:
    lines = await seen(mesh, caller, address, port)
    if not around:
        assert lines in (0, 404)
        return
    assert isinstance(lines, list)
    names = [line.partition(":")[0] for line in lines[1:]]
    # As the program wrote it: a proxy would have written names in lower case, and added its own.
    assert names == ["Accept-Encoding", "Host", "User-Agent", "Connection"]


async def test_who_goes_around_the_proxy_learns_names(mesh: MeshUnderTest) -> None:
    assert isinstance(await seen(mesh, "ports", "outside.test", PLAIN), list)
    assert await seen(mesh, "usual", "outside.test", PLAIN) == 0


async def test_nothing_leads_to_this_machine_by_surprise(mesh: MeshUnderTest) -> None:
    for caller in LISTS:
        for place in (HOST_NAME, "169.254.169.254"):
            assert await seen(mesh, caller, place, PLAIN) in (0, 404)
    own = egress("host", ["usual/usual"], [f"tcp:{PLAIN}"], HOST_NAME, namespace="usual")
    mesh.write("policy.yaml", yaml.safe_dump(own))
    await mesh.settle()
    assert isinstance(await seen(mesh, "ports", HOST_NAME, PLAIN), list)
    mesh.remove("policy.yaml")


async def test_the_mesh_is_there_as_before(mesh: MeshUnderTest) -> None:
    """Ranges of real addresses say nothing of the mesh's own, which are like no cluster's."""
    mesh.write(
        "access.yaml", http_access("all", "server/server", ("ranges/ranges", "included/included"))
    )
    await mesh.settle()
    for caller in ("ranges", "included"):
        status, headers, _ = await mesh.get(f"{caller}/{caller}-0", "http://server.server/")
        assert (status, headers["server"]) == (200, "envoy"), caller
    mesh.remove("access.yaml")


async def test_an_excluded_port_of_a_service_reaches_only_pods_that_exclude_theirs(
    mesh: MeshUnderTest,
) -> None:
    status, _, body = await mesh.get("ports/ports-0", f"http://server.server:{PLAIN}/")
    found = json.loads(body)
    assert (status, found["name"], found["caller"]) == (200, "server-0", "")
    assert found["headers"].get("x-request-id") is None
    # A proxy that takes all calls takes none that are plain.
    assert (await mesh.get("ports/ports-0", f"http://closed.closed:{PLAIN}/"))[0] == 0
    # Everybody else calls both with mutual TLS, or not at all.
    assert (await mesh.get("usual/usual-0", f"http://server.server:{PLAIN}/"))[0] == 200
    assert (await mesh.get("usual/usual-0", f"http://closed.closed:{PLAIN}/"))[0] == 403
    address = await mesh.run(
        "server/server-0", "result = __import__('socket').gethostbyname('server-0')"
    )
    assert (await mesh.get("ports/ports-0", f"http://{address}:{PLAIN}/"))[0] == 0


async def test_meshconfigs_lists_count_for_pods_that_start_later(mesh: MeshUnderTest) -> None:
    lists = mesh_config(traffic={"outboundIPRangeExclusionList": ["203.0.113.0/24"]})
    mesh.write("config.yaml", yaml.safe_dump(lists))
    await mesh.settle()
    assert await seen(mesh, "usual", OTHERS, 7001) == 0
    mesh.write("late.yaml", puppet("late"))
    await mesh.wait_ready(7)
    assert isinstance(await seen(mesh, "late", OTHERS, 7001), list)
    assert await seen(mesh, "late", EXCLUDED, 7001) == 0


async def test_without_namespaces_excluded_addresses_are_told_to_programs(tmp_path: Path) -> None:
    directory = tmp_path / "mesh"
    directory.mkdir()
    annotations = {PREFIX + "outbound-ip-range-exclusion-list": "192.0.2.55/32,198.51.100.0/24"}
    (directory / "apps.yaml").write_text(puppet("client", annotations=annotations))
    async with local_mesh(directory, tmp_path / "state", isolation="none") as running:
        await running.wait_ready(1)
        program = "import os; result = [os.environ[n] for n in ('NO_PROXY', 'no_proxy')]"
        told = "localhost,127.0.0.1,192.0.2.55,198.51.100.0/24"
        assert await running.run("client/client-0", program) == [told, told]
