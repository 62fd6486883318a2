"""Live connections and access rules that go: who loses access, how soon, and who must not notice."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .harness import (
    MeshUnderTest,
    http_access,
    local_mesh,
    mesh_config,
    puppet,
    service,
    tcp_access,
)

ANNA, BERTA = "anna/anna-0", "berta/berta-0"
ECHO, BANNER = 9000, 9001
OBJECTS = "---".join(
    (
        puppet("anna"),
        puppet("berta"),
        puppet("server", arguments=(f"--echo={ECHO}", f"--banner={BANNER}")),
        service(
            "server",
            ports=((80, 8000, "http"), (ECHO, ECHO, "tcp"), (BANNER, BANNER, "tcp-server-first")),
        ),
    )
)
LIMIT_S = 1.0
"""How long a live connection may go on after its access rule is gone."""

LIVE_TCP = """
import socket, threading, time
life = state[{key!r}] = {{"open": True, "last": 0.0, "ended": 0.0, "count": 0, "stop": False}}
line = socket.create_connection(("server.server", {port}), 3)
line.settimeout(3)
def live():
    try:
        while not life["stop"]:
            line.sendall(b"x")
            if not line.recv(1000):
                break
            life["last"] = time.time()
            life["count"] += 1
            time.sleep(0.01)
    except OSError:
        pass
    life["ended"], life["open"] = time.time(), False
    line.close()
threading.Thread(target=live, daemon=True).start()
"""
LIVE_HTTP = """
import http.client, threading, time
life = state[{key!r}] = {{"open": True, "last": 0.0, "ended": 0.0, "count": 0, "stop": False}}
line = http.client.HTTPConnection("server.server", 80, timeout=3)
line.connect()
line.auto_open = 0  # one connection, or none
def live():
    while not life["stop"]:
        try:
            life["status"] = request(line, "GET", "/")[0]
        except (OSError, http.client.HTTPException) as error:
            life["status"] = repr(error)
        if life["status"] != 200:
            break
        life["last"] = time.time()
        life["count"] += 1
        time.sleep(0.01)
    life["ended"], life["open"] = time.time(), False
    line.close()
threading.Thread(target=live, daemon=True).start()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def allow(mesh: MeshUnderTest, *sources: str) -> None:
    """Let accounts in, by HTTP and by TCP; each by objects of its own."""
    for name in ("anna", "berta"):
        source = (f"{name}/{name}",) if name in sources else ()
        rules = (
            http_access(f"web-{name}", "server/server", source),
            tcp_access(f"tcp-{name}", "server/server", source),
        )
        if source:
            mesh.write(f"{name}.yaml", "---".join(rules))
        elif (mesh.directory / f"{name}.yaml").exists():
            mesh.remove(f"{name}.yaml")
    await mesh.settle()


async def begin(mesh: MeshUnderTest, pod: str, program: str, key: str, port: int = ECHO) -> None:
    await mesh.run(pod, program.format(key=key, port=port))
    await check_lives(mesh, pod, key)


async def look(mesh: MeshUnderTest, pod: str, key: str) -> Any:
    return await mesh.run(pod, f"result = state[{key!r}]")


async def check_lives(mesh: MeshUnderTest, pod: str, key: str) -> None:
    """Fail unless the connection is served again and again from now on."""
    before: int = (await look(mesh, pod, key))["count"]

    async def more() -> bool:
        count: int = (await look(mesh, pod, key))["count"]
        return count > before + 20

    await mesh.wait_for(more, f"the connection {key} of {pod} goes on", within=5)


async def end(mesh: MeshUnderTest, pod: str, key: str) -> None:
    await mesh.run(pod, f"state[{key!r}]['stop'] = True")


async def wait_ended(mesh: MeshUnderTest, pod: str, key: str, since: float) -> float:
    """Wait until a connection was refused; gives how long after `since` it was last served."""

    async def ended() -> bool:
        return not (await look(mesh, pod, key))["open"]

    await mesh.wait_for(ended, f"{key} of {pod} ends", within=5)
    return float((await look(mesh, pod, key))["last"]) - since


@pytest.mark.parametrize("program", [LIVE_TCP, LIVE_HTTP], ids=["tcp", "http"])
async def test_a_live_connection_loses_access_within_a_second_and_others_do_not_notice(
    mesh: MeshUnderTest, program: str
) -> None:
    await allow(mesh, "anna", "berta")
    await begin(mesh, ANNA, program, "a")
    await begin(mesh, BERTA, program, "b")
    mesh.remove("anna.yaml")
    since = time.time()
    took = await wait_ended(mesh, ANNA, "a", since)
    print(f"last served {took * 1000:.0f} ms after the rule went")
    assert took < LIMIT_S
    if program is LIVE_HTTP:
        assert (await look(mesh, ANNA, "a"))["status"] == 403
    await check_lives(mesh, BERTA, "b")
    await end(mesh, BERTA, "b")


async def test_a_live_connection_to_a_server_that_speaks_first_loses_access_too(
    mesh: MeshUnderTest,
) -> None:
    await allow(mesh, "anna")
    await begin(mesh, ANNA, LIVE_TCP, "first", BANNER)
    mesh.remove("anna.yaml")
    assert await wait_ended(mesh, ANNA, "first", time.time()) < LIMIT_S
    assert await mesh.talk(ANNA, "server.server", BANNER, "") == ("closed", "")


async def test_adding_a_source_cuts_no_connection(mesh: MeshUnderTest) -> None:
    await allow(mesh, "anna")
    await begin(mesh, ANNA, LIVE_TCP, "tcp")
    await begin(mesh, ANNA, LIVE_HTTP, "http")
    await allow(mesh, "anna", "berta")
    assert await mesh.talk(BERTA, "server.server", ECHO) == ("answered", "ping")
    for key in ("tcp", "http"):
        await check_lives(mesh, ANNA, key)
        await end(mesh, ANNA, key)


async def test_access_that_is_given_back_works_on_a_new_connection(mesh: MeshUnderTest) -> None:
    await allow(mesh)
    assert await mesh.talk(ANNA, "server.server", ECHO) == ("closed", "")
    await allow(mesh, "anna")
    assert await mesh.talk(ANNA, "server.server", ECHO) == ("answered", "ping")
    assert (await mesh.ask(ANNA, "server.server"))[0] == 200


async def test_leaving_permissive_mode_takes_access_from_live_connections(
    mesh: MeshUnderTest,
) -> None:
    await allow(mesh, "berta")
    mesh.write("config.yaml", mesh_config(permissive=True))
    await mesh.settle()
    await begin(mesh, ANNA, LIVE_TCP, "tcp")
    await begin(mesh, ANNA, LIVE_HTTP, "http")
    await begin(mesh, BERTA, LIVE_HTTP, "allowed")
    mesh.write("config.yaml", mesh_config(permissive=False))
    since = time.time()
    for key in ("tcp", "http"):
        took = await wait_ended(mesh, ANNA, key, since)
        print(f"{key}: last served {took * 1000:.0f} ms after permissive mode ended")
        assert took < LIMIT_S
    assert (await look(mesh, BERTA, "allowed"))["open"], "SMI rules allow this one"
    await end(mesh, BERTA, "allowed")


async def test_entering_permissive_mode_cuts_no_connection(mesh: MeshUnderTest) -> None:
    await allow(mesh, "anna")
    await begin(mesh, ANNA, LIVE_TCP, "smi")
    mesh.write("config.yaml", mesh_config(permissive=True))
    await mesh.settle()
    await check_lives(mesh, ANNA, "smi")
    mesh.write("config.yaml", mesh_config(permissive=False))
    await mesh.settle()
    await check_lives(mesh, ANNA, "smi")
    await end(mesh, ANNA, "smi")
