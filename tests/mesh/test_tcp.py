"""TCP through two real proxies: access by port, servers that speak first, names, addresses."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .harness import (
    MeshUnderTest,
    local_mesh,
    mesh_config,
    puppet,
    service,
    stateful,
    tcp_access,
)

CLIENT, STRANGER = "client/client-0", "stranger/stranger-0"
ECHO, SECOND, FIRST, PLAIN_FIRST = 9000, 9001, 9002, 9003
SERVER_ARGUMENTS = tuple(
    f"--{kind}={port}"
    for kind, port in (
        ("echo", ECHO),
        ("echo", SECOND),
        ("banner", FIRST),
        ("banner", PLAIN_FIRST),
    )
)
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("stranger"),
        puppet("server", arguments=SERVER_ARGUMENTS, replicas=3),
        service(
            "server",
            ports=(
                (ECHO, ECHO, "tcp"),
                (7000, ECHO, "tcp"),
                (SECOND, SECOND, "tcp"),
                (FIRST, FIRST, "tcp-server-first"),
                (PLAIN_FIRST, PLAIN_FIRST, "tcp"),
            ),
        ),
        # Port 80 is HTTP for one service of the mesh, and TCP for another.
        service("web", namespace="server", selector={"app": "server"}),
        service("odd", namespace="server", selector={"app": "server"}, ports=((80, ECHO, "tcp"),)),
        stateful("store", arguments=(f"--echo={ECHO}", f"--banner={FIRST}"), replicas=2),
        service(
            "store",
            ports=((ECHO, ECHO, "tcp"), (FIRST, FIRST, "tcp-server-first"), (8000, 8000, "http")),
            headless=True,
        ),
    )
)
ACCESS = "---".join(
    (
        tcp_access("echo", "server/server", ("client/client",), (ECHO, FIRST, PLAIN_FIRST)),
        tcp_access("store", "store/store", ("client/client",)),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    (directory / "access.yaml").write_text(ACCESS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(7)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_allowed_source_talks_to_an_echo_server(mesh: MeshUnderTest) -> None:
    assert await mesh.talk(CLIENT, "server.server", ECHO) == ("answered", "ping")


async def test_a_megabyte_comes_back_as_it_was_sent(mesh: MeshUnderTest) -> None:
    program = f"""
        import hashlib, random, socket, threading
        sent = random.Random(1).randbytes(1_000_000)
        with socket.create_connection(("server.server", {ECHO}), 10) as connection:
            threading.Thread(target=connection.sendall, args=(sent,)).start()
            got = b""
            while len(got) < len(sent) and (data := connection.recv(65536)):
                got += data
        result = got == sent
        """
    assert await mesh.run(CLIENT, program) is True


@pytest.mark.parametrize("port", [ECHO, SECOND, 7000])
async def test_a_source_without_a_rule_gets_not_a_byte(mesh: MeshUnderTest, port: int) -> None:
    assert await mesh.talk(STRANGER, "server.server", port) == ("closed", "")


@pytest.mark.parametrize("port", [FIRST, PLAIN_FIRST])
async def test_a_server_that_speaks_first_is_silent_to_a_source_without_a_rule(
    mesh: MeshUnderTest, port: int
) -> None:
    outcome, text = await mesh.talk(STRANGER, "server.server", port, "")
    assert (outcome, text) == ("closed", "")


async def test_a_port_that_the_rule_does_not_name_stays_closed(mesh: MeshUnderTest) -> None:
    assert await mesh.talk(CLIENT, "server.server", SECOND) == ("closed", "")


async def test_two_service_ports_lead_to_one_target_port(mesh: MeshUnderTest) -> None:
    assert await mesh.talk(CLIENT, "server.server", 7000) == ("answered", "ping")


@pytest.mark.parametrize("port", [FIRST, PLAIN_FIRST])
async def test_a_server_that_speaks_first_is_heard_at_once(mesh: MeshUnderTest, port: int) -> None:
    # Once to ask the control plane for the service, then for its time.
    await mesh.talk(CLIENT, "server.server", port, "")
    started = time.monotonic()
    outcome, text = await mesh.talk(CLIENT, "server.server", port, "")
    assert outcome == "answered" and text.startswith("hello from server-")
    assert time.monotonic() - started < 0.5


async def test_every_replica_gets_connections(mesh: MeshUnderTest) -> None:
    program = f"""
        result = sorted({{talk("server.server", {ECHO}, "who")[1] for _ in range(30)}})
        """
    assert await mesh.run(CLIENT, program) == ["server-0", "server-1", "server-2"]


async def test_tcp_on_a_port_that_is_http_elsewhere_is_tcp(mesh: MeshUnderTest) -> None:
    outcome, text = await mesh.talk(CLIENT, "odd.server", 80, "not \0 http\n")
    assert (outcome, text) == ("answered", "not \0 http\n")
    assert await mesh.talk(STRANGER, "odd.server", 80) == ("closed", "")
    # The other service on that port still speaks HTTP: its proxy answers.
    status, _, _ = await mesh.ask(CLIENT, "web.server", 80)
    assert status == 403


@pytest.mark.parametrize("suffix", ["", ".svc", ".svc.cluster", ".svc.cluster.local"])
async def test_a_pod_of_a_stateful_set_is_reached_by_its_own_name(
    mesh: MeshUnderTest, suffix: str
) -> None:
    for pod in ("store-0", "store-1"):
        for _ in range(3):
            found = await mesh.talk(CLIENT, f"{pod}.store.store{suffix}", ECHO, "who")
            assert found == ("answered", pod)


async def test_a_headless_service_is_reached_by_its_own_name(mesh: MeshUnderTest) -> None:
    outcome, text = await mesh.talk(CLIENT, "store.store", ECHO, "who")
    assert outcome == "answered" and text in ("store-0", "store-1")
    assert await mesh.talk(STRANGER, "store.store", ECHO) == ("closed", "")


async def test_http_to_a_pod_of_a_stateful_set_by_its_own_name(mesh: MeshUnderTest) -> None:
    # Only TCP is allowed: the 403 comes from the pod's own proxy.
    status, headers, body = await mesh.ask(CLIENT, "store-1.store.store", 8000)
    assert status == 403 and "x-osm-denied" in headers
    assert "store/store" in body


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("240.9.9.9", ECHO),
        ("240.9.9.9", 80),
        ("10.0.0.1", 80),
        ("10.0.0.1", ECHO),
        ("169.254.169.254", 80),
        ("203.0.113.7", 443),
    ],
)
async def test_an_address_that_the_mesh_does_not_know_is_refused_at_once(
    mesh: MeshUnderTest, address: str, port: int
) -> None:
    started = time.monotonic()
    request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"
    outcome, text = await mesh.talk(CLIENT, address, port, request)
    took = time.monotonic() - started
    # On a port that is HTTP somewhere, the proxy says so in HTTP; else it hangs up.
    if port == 80 and outcome == "answered":
        assert text.startswith("HTTP/1.1 404 ")
    else:
        assert outcome in ("closed", "refused")
    assert took < 1


async def test_a_port_that_the_service_does_not_have_is_refused_at_once(
    mesh: MeshUnderTest,
) -> None:
    started = time.monotonic()
    outcome, _ = await mesh.talk(CLIENT, "server.server", 9999)
    assert outcome in ("closed", "refused")
    assert time.monotonic() - started < 1


async def test_permissive_mode_opens_tcp_to_all_and_smi_mode_closes_it(mesh: MeshUnderTest) -> None:
    mesh.write("config.yaml", mesh_config(permissive=True))

    async def stranger_is(outcome: str) -> bool:
        return (await mesh.talk(STRANGER, "server.server", SECOND))[0] == outcome

    await mesh.wait_for(lambda: stranger_is("answered"), "permissive mode", within=2)
    outcome, text = await mesh.talk(STRANGER, "server.server", FIRST, "")
    assert outcome == "answered" and text.startswith("hello from server-")
    mesh.write("config.yaml", mesh_config(permissive=False))
    await mesh.wait_for(lambda: stranger_is("closed"), "SMI mode", within=2)
    assert await mesh.talk(CLIENT, "server.server", ECHO) == ("answered", "ping")


async def test_a_pod_that_comes_late_gets_connections_and_one_that_goes_gets_none(
    mesh: MeshUnderTest,
) -> None:
    mesh.write("apps.yaml", OBJECTS.replace("replicas: 3", "replicas: 4"))

    async def who() -> set[str]:
        program = f"result = [talk('server.server', {ECHO}, 'who') for _ in range(12)]"
        found = await mesh.run(CLIENT, program)
        assert all(outcome == "answered" for outcome, _ in found), found
        return {text for _, text in found}

    async def four() -> bool:
        return "server-3" in await who()

    await mesh.wait_for(four, "the fourth replica gets connections", within=15)
    mesh.write("apps.yaml", OBJECTS)

    async def three() -> bool:
        return "server-3" not in await who()

    await mesh.wait_for(three, "the fourth replica gets no connections", within=10)
