"""Certificates that end soon are renewed under load, and nothing fails."""

import asyncio
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509

import osm.issuers.tresor

from .harness import MeshUnderTest, http_access, local_mesh, puppet, service, tcp_access
from .intruder import client_context, identity, open_tresor

CLIENT, SERVER = "client/client-0", "server/server-0"
WEB, ECHO = 8000, 9000
LEAF_LIFE = timedelta(seconds=30)
BOOTSTRAP_LIFE = timedelta(seconds=25)
LOAD_S = 48.0
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("server", arguments=(f"--echo={ECHO}",)),
        service("server", ports=((80, WEB, "http"), (ECHO, ECHO, "tcp"))),
        http_access("web", "server/server", ("client/client",)),
        tcp_access("tcp", "server/server", ("client/client",)),
    )
)
TCP_LOAD = f"""
import time
failures, served = [], 0
end = time.monotonic() + {LOAD_S}
while time.monotonic() < end:
    found = talk("server.server", {ECHO})  # each a connection, and a handshake, of its own
    if found == ("answered", "ping"):
        served += 1
    else:
        failures.append(found)
    time.sleep(0.05)
result = [served, failures]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(OBJECTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(osm.issuers.tresor, "BOOTSTRAP_VALIDITY", BOOTSTRAP_LIFE)
        state = tmp_path_factory.mktemp("state")
        async with local_mesh(directory, state, leaf_validity=LEAF_LIFE) as running:
            await running.wait_ready(2)
            await running.settle()
            yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def certificate_of(path: Path, context: ssl.SSLContext) -> x509.Certificate:
    """The certificate that a server shows."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(5)
        raw.connect(str(path))
        with context.wrap_socket(raw, server_hostname="any.svc.cluster.local") as line:
            shown = line.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


async def test_leaves_of_half_a_minute_are_renewed_without_a_failed_request(
    mesh: MeshUnderTest, tmp_path: Path
) -> None:
    tresor = open_tresor(mesh.state)
    context = client_context(
        tmp_path, tresor.trust_bundle, await tresor.issue(identity("client/client"))
    )
    load = [
        # Requests over kept connections, requests over new ones, and TCP, where every connection
        # is a handshake between the proxies.
        asyncio.create_task(mesh.count(CLIENT, "server.server", seconds=LOAD_S, rate=80)),
        asyncio.create_task(
            mesh.count(CLIENT, "server.server", seconds=LOAD_S, rate=40, reconnect_every=5)
        ),
        asyncio.create_task(mesh.run(CLIENT, TCP_LOAD, timeout=LOAD_S + 20)),
    ]
    path = mesh.inbound_socket(SERVER, WEB)
    serials: dict[int, datetime] = {}
    while not all(task.done() for task in load):
        shown = await asyncio.to_thread(certificate_of, path, context)
        serials[shown.serial_number] = shown.not_valid_after_utc
        assert shown.not_valid_after_utc > datetime.now(UTC), "never an expired one"
        await asyncio.sleep(0.5)
    kept, fresh, (served, failures) = await asyncio.gather(*load)
    assert len(serials) >= 3, "two renewals at least"
    assert kept.keys() == fresh.keys() == {"server-0"}, (kept, fresh)
    assert kept["server-0"] + fresh["server-0"] > 100 * LOAD_S * 0.8
    assert failures == [] and served > LOAD_S * 5


async def test_a_proxy_comes_back_after_its_first_bootstrap_certificate_has_ended(
    mesh: MeshUnderTest,
) -> None:
    started = datetime.fromisoformat(mesh.api.view().started)
    left = (started + BOOTSTRAP_LIFE + timedelta(seconds=3) - datetime.now(UTC)).total_seconds()
    await asyncio.sleep(max(0, left))
    control_plane = mesh.control_plane
    before = control_plane.by_proxy()["client/client-0"].number
    # The stream ends; its connection still rests upon the certificate that has ended.
    control_plane.by_proxy()["client/client-0"].expire()

    def is_back() -> bool:
        session = control_plane.by_proxy().get("client/client-0")
        return session is not None and session.number > before

    await mesh.wait_for(is_back, "the proxy has a new stream", within=10)
    mesh.write("late.yaml", service("late", namespace="server", selector={"app": "server"}))

    async def is_served() -> bool:
        return (await mesh.ask(CLIENT, "late.server"))[0] == 200

    await mesh.wait_for(is_served, "a new service reaches the proxy", within=5)


async def test_a_proxy_that_dies_starts_again_with_a_certificate_that_is_valid(
    mesh: MeshUnderTest,
) -> None:
    control_plane = mesh.control_plane
    before = control_plane.by_proxy()["client/client-0"].number
    directory = mesh.runtime / "pods" / "client.client-0"
    pids = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and _runs_from(entry, directory)
    ]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)

    def is_back() -> bool:
        session = control_plane.by_proxy().get("client/client-0")
        return session is not None and session.number > before

    await mesh.wait_for(is_back, "the proxy is back", within=10)
    started = time.monotonic()

    async def is_served() -> bool:
        return (await mesh.ask(CLIENT, "server.server"))[0] == 200

    await mesh.wait_for(is_served, "requests pass again", within=10)
    assert time.monotonic() - started < 10


def _runs_from(process: Path, directory: Path) -> bool:
    """Whether a process is the Envoy of a pod's directory: its command line names the bootstrap."""
    try:
        return f"{directory}/bootstrap.json".encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False
