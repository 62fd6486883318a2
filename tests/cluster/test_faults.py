"""The control plane goes away, comes back and is replaced: requests are answered all the time."""

import asyncio
import json
import signal

import pytest
from tests.kubernetes.node import Node

from .load import Counts, load
from .mesh import Mesh
from .pods import app, apply, pods, ready, run_in_pod, service_address, until_pods
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

AWAY_S = 120
RATE = 200
SERVE = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128  # 5 are too few when the machine is busy
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""


async def serve(node: Node, namespace: str, *, replicas: int = 2) -> str:
    """Returns where, by address: CoreDNS is another program, and its answers are not what is tested. (It is
    not even reached while its own node is not heard of.)
    """
    await apply(node, app("web", "python", "-c", SERVE, port=8080, replicas=replicas), namespace)
    await ready(node, namespace, "app=web", count=replicas)
    return f"http://{await service_address(node, namespace, 'web')}:8080/"


def none_failed(counts: Counts, at_least: int) -> None:
    assert counts.failed == {}
    assert counts.sent >= at_least


async def test_all_replicas_are_killed_for_two_minutes(node: Node, mesh: Mesh, meshed: str) -> None:
    url = await serve(node, meshed)
    async with load(node, meshed, url, rate=RATE) as sender:
        await asyncio.sleep(5)
        await mesh.scale(0, kill=True)
        try:
            await gone(mesh)
            await stays_closed(node, meshed)
            await asyncio.sleep(AWAY_S)
        finally:
            await mesh.scale(1)
        await asyncio.sleep(5)
        none_failed(await sender.counts(), RATE * AWAY_S // 2)
    # What was created meanwhile serves now.
    await ready(node, meshed, "app=late")


async def gone(mesh: Mesh) -> None:
    """Wait until no process of the control plane runs: pods that are forced away go before theirs."""

    async def none_runs() -> bool:
        return "controller --kubernetes" not in await mesh.node.run_inside("ps", "-eo", "args=")

    await eventually(none_runs, "all replicas are dead")


async def stays_closed(node: Node, namespace: str) -> None:
    """A pod of the mesh is not created without its proxy while nobody can make one."""
    late = app("late", "python", "-c", SERVE, port=8080)
    await apply(node, late, namespace)
    await asyncio.sleep(5)
    assert await pods(node, namespace, "app=late") == []


@pytest.mark.timeout(900)
async def test_the_api_server_is_away_for_two_minutes(node: Node, mesh: Mesh, meshed: str) -> None:
    url = await serve(node, meshed)
    async with load(node, meshed, url, rate=RATE) as sender:
        await asyncio.sleep(5)
        before = (await sender.counts()).sent
        await node.stop("kube-apiserver", signal.SIGKILL)
        try:
            await asyncio.sleep(AWAY_S)
        finally:
            await node.start("kube-apiserver")

        async def nodes_are_ready() -> bool:
            return " Ready" in await node.kubectl("get", "nodes", "--no-headers")

        await eventually(nodes_are_ready, "the cluster knows its node again", within=240)
        await asyncio.sleep(5)
        counts = await sender.counts()
        none_failed(counts, before + RATE * AWAY_S // 2)
    await recovered(node, mesh)
    await apply(node, app("new", "python", "-c", SERVE, port=8080), meshed)
    await ready(node, meshed, "app=new", within=60)


async def recovered(node: Node, mesh: Mesh) -> None:
    """Wait until Kubernetes itself goes on: its controllers make pods, and Services know theirs. Both
    wait longer from one try to the next, after two minutes without an API server for up to a minute.
    """
    plain = ("--namespace", "default", "deployment/plain")
    await apply(node, app("plain", "sleep", "3600"), "default")
    try:
        await ready(node, "default", "app=plain", within=180)
    finally:
        await node.kubectl("delete", *plain, "--wait=false")
    slices = ("get", "endpointslices", "-l", "kubernetes.io/service-name=osm-injector")

    async def injector_is_known() -> bool:
        path = "jsonpath={.items[*].endpoints[*].conditions.ready}"
        return "true" in await node.kubectl("-n", mesh.namespace, *slices, "-o", path)

    await eventually(injector_is_known, "the injector's pod is ready again", within=120)


async def test_a_rolling_restart_and_an_upgrade(node: Node, mesh: Mesh, meshed: str) -> None:
    url = await serve(node, meshed)
    async with load(node, meshed, url, rate=RATE) as sender:
        restart = ("rollout", "restart", "deployment/osm-controller")
        await node.kubectl("--namespace", mesh.namespace, *restart)
        await mesh.rolled_out()
        # Another setting is another generation of pods; what runs meanwhile is served by either.
        printed = await mesh.osm("mesh", "upgrade", "--set", "osm.controllerLogLevel=debug")
        assert "OSM successfully upgraded mesh [osm] in namespace [osm-system]" in printed
        await asyncio.sleep(5)
        none_failed(await sender.counts(), RATE * 5)
    assert "debug" in await node.kubectl(
        *("--namespace", mesh.namespace, "get", "deployment", "osm-controller", "-o", "yaml")
    )


async def test_pods_come_and_go_under_load(node: Node, mesh: Mesh, meshed: str) -> None:
    url = await serve(node, meshed, replicas=2)
    async with load(node, meshed, url, rate=100) as sender:
        for replicas in (20, 2):
            scale = ("scale", "deployment/web", f"--replicas={replicas}")
            await node.kubectl("--namespace", meshed, *scale)
            await ready(node, meshed, "app=web", count=replicas, within=180)
            await asyncio.sleep(5)
        counts = await sender.counts()
        assert counts.failed == {}, await sender.failures()


async def test_a_job_ends_with_its_proxy_and_calls_out_in_its_first_millisecond(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    await serve(node, meshed, replicas=1)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "early"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"app": "early"}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "job",
                            "image": "osm.test/apps:1",
                            "command": ["curl", "-sf", "--max-time", "5", "http://web:8080/"],
                        }
                    ],
                },
            },
        },
    }
    await apply(node, json.dumps(job), meshed)
    (pod,) = await until_pods(
        node, meshed, "app=early", lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed")
    )
    assert pod["status"]["phase"] == "Succeeded"
    states = {each["name"]: each["state"] for each in pod["status"]["initContainerStatuses"]}
    assert "terminated" in states["envoy"], "its proxy was a real one, and ended"
    complete = ("wait", "--for=condition=Complete", "job/early", "--timeout=30s")
    await node.kubectl("--namespace", meshed, *complete)


async def test_a_pod_that_is_not_in_the_mesh_gets_nothing_from_one_that_is(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    await serve(node, meshed, replicas=1)
    await apply(node, app("stranger", "sleep", "3600"), "default")
    try:
        await ready(node, "default", "app=stranger")
        url = f"http://web.{meshed}:8080/"
        asked = ("curl", "-sf", "--max-time", "5", url)
        with pytest.raises(RuntimeError, match="exit code"):
            await run_in_pod(node, "default", "deployment/stranger", *asked)
    finally:
        await node.kubectl("delete", "deployment", "stranger", "--wait=false")
