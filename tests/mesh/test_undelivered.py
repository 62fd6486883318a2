"""Pods that take no connections any more, though callers do not know it yet: no request is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from osm.core.envoy.filters.undelivered import UNDELIVERED

from .harness import MeshUnderTest, local_mesh, puppet, service

CLIENT, FIRST, SECOND = "client/client-0", "shop/shop-0", "shop/shop-1"
OBJECTS = "---".join(
    (
        puppet("client"),
        puppet("shop", replicas=2),
        service("shop", ports=((80, 8001, "http"),)),
        """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec: {traffic: {enablePermissiveTrafficPolicyMode: true}}
""",
    )
)
LISTEN = f"""
import http.server, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        state["requests"] = state.get("requests", 0) + 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(503 if "lie" in self.path else 200)
        if "lie" in self.path:
            self.send_header({UNDELIVERED!r}, "no-connection")
        self.send_header("content-length", "0")
        self.end_headers()

state["server"] = http.server.ThreadingHTTPServer(("0.0.0.0", 8001), Handler)
threading.Thread(target=state["server"].serve_forever, daemon=True).start()
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    """Both pods are ready; only the first listens on the port that is called."""
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "objects.yaml").write_text(OBJECTS)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(3)
        await running.run(FIRST, LISTEN)
        await running.settle()
        yield running


async def received(mesh: MeshUnderTest) -> int:
    return int(await mesh.run(FIRST, "result = state.get('requests', 0)"))


async def test_what_finds_nobody_is_done_by_another_pod_also_a_post(mesh: MeshUnderTest) -> None:
    before = await received(mesh)
    answers = [await mesh.get(CLIENT, "http://shop.shop/", method="POST") for _ in range(30)]
    assert [status for status, _, _ in answers] == [200] * 30
    assert await received(mesh) - before == 30


async def test_an_application_cannot_have_its_answer_taken_for_none(mesh: MeshUnderTest) -> None:
    status = 0
    while status != 503:  # each is sent to either pod first; one that is answered counts
        before = await received(mesh)
        status, headers, _ = await mesh.get(CLIENT, "http://shop.shop/lie", method="POST")
        await asyncio.sleep(0)
    assert await received(mesh) - before == 1
    assert UNDELIVERED not in {name.lower() for name in headers}


async def test_without_another_pod_the_caller_hears_of_it_once(mesh: MeshUnderTest) -> None:
    await mesh.run(FIRST, "state['server'].shutdown(); state['server'].server_close()")
    status, headers, _ = await mesh.get(CLIENT, "http://shop.shop/", method="POST")
    assert status == 503
    assert UNDELIVERED not in {name.lower() for name in headers}
