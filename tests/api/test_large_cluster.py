"""A control plane starts in a large cluster (row K13). The API server's lists of services and pods are
made up, page by page; the rest is real.
"""

import asyncio
import json
import os
import time
import uuid
from pathlib import Path

import pytest
from bench.kubernetes.pods import injected
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy

from osm.core.install.names import API_PORT, Installation

from .processes import ControllerProcess, remove_webhooks
from .statuses import define

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

SERVICES = 5000 if "OSM_TEST_FULL" in os.environ else 1000
REPLICAS = 4
READY_S, MEMORY_MB = 30.0, 1000
VERSION = str(10**9)


class Crowd:
    """Services of so many pods each, in the namespace of a mesh."""

    def __init__(self, installation: Installation, namespace: str, services: int) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "NAME", "namespace": namespace, "labels": {"app": "APP"}},
            "spec": {"serviceAccountName": "APP", "containers": [{"name": "app"}]},
        }
        pod = injected(document, installation)
        pod["metadata"] |= {"uid": "UID", "resourceVersion": "1"}
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
        status = {**ready, "podIP": "ADDRESS", "podIPs": [{"ip": "ADDRESS"}]}
        self._pod = json.dumps({**pod, "status": status})
        spec = {
            "selector": {"app": "APP"},
            "clusterIP": "CLUSTER",
            "ports": [{"port": 80, "targetPort": 8080, "appProtocol": "http"}],
        }
        metadata = {"name": "APP", "namespace": namespace, "uid": "UID", "resourceVersion": "1"}
        self._service = json.dumps({"metadata": metadata, "spec": spec})
        self.services = services
        self.pages = 0

    def choose(self, asked: Asked) -> Fault | None:
        plural = asked.path.rpartition("/")[2]
        if asked.method != "GET" or asked.path not in ("/api/v1/pods", "/api/v1/services"):
            return None
        if "sendInitialEvents" in asked.query:
            return Fault(status=422)  # as an API server that cannot stream lists
        if asked.is_watch:
            return Fault(mute_after_s=0.0)
        return Fault(answer=self._page(plural, asked.query))

    def _page(self, plural: str, query: dict[str, list[str]]) -> bytes:
        self.pages += 1
        first, limit = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
        count = self.services * (REPLICAS if plural == "pods" else 1)
        last = min(first + limit, count)
        make = self._make_pod if plural == "pods" else self._make_service
        more = f', "continue": "{last}"' if last < count else ""
        items = ",".join(map(make, range(first, last)))
        return (
            f'{{"metadata": {{"resourceVersion": "{VERSION}"{more}}}, "items": [{items}]}}'.encode()
        )

    def _make_pod(self, number: int) -> str:
        app, replica = divmod(number, REPLICAS)
        text = self._pod.replace("NAME", f"s{app}-{replica}").replace("APP", f"s{app}")
        return text.replace("ADDRESS", _address(10, number)).replace("UID", f"p{number}")

    def _make_service(self, number: int) -> str:
        text = self._service.replace("APP", f"s{number}").replace("UID", f"s{number}")
        return text.replace("CLUSTER", _address(11, number))


def _address(first: int, number: int) -> str:
    return f"{first}.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had (`VmHWM`)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


async def test_a_control_plane_starts_soon_and_with_little_memory_in_a_large_cluster(
    cluster: ControlPlane, proxy: FaultProxy, namespace: str, tmp_path: Path
) -> None:
    await define(cluster)
    own = f"m-{uuid.uuid4().hex[:8]}"
    installation = Installation(own, own)
    await cluster.make_namespace(own)
    await cluster.kubectl("label", "namespace", namespace, f"openservicemesh.io/monitored-by={own}")
    crowd = Crowd(installation, namespace, SERVICES)
    proxy.choose = crowd.choose
    process = ControllerProcess(tmp_path, proxy.kubeconfig, installation)
    try:
        started = time.monotonic()
        await process.start()
        took = time.monotonic() - started
        await asyncio.sleep(3)  # until it leads, and judges all of them
        view = await process.json("/api/v1/view", API_PORT)
        assert len(view["workloads"]) == SERVICES * REPLICAS
        assert crowd.pages >= SERVICES * (REPLICAS + 1) // 500
        print(f"ready after {took:.1f} s, {peak_mb(process.pid):.0f} MB")
        assert took <= READY_S and peak_mb(process.pid) <= MEMORY_MB
        assert "Traceback" not in process.log()
    finally:
        await process.kill()
        await remove_webhooks(cluster, installation)
        await cluster.kubectl("delete", "namespace", own, "--wait=false")
