"""Pods of a mesh's namespace without a proxy, as an API server keeps them: shown, explained, not called."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from bench.kubernetes.pods import injected
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.explain.explanation import Question
from osm.core.install.names import Installation
from osm.core.model.workload import ProxyKind
from osm.runtime.kubernetes_mesh import KubernetesMesh

from .keeping import collect_handshakes
from .lives import life, without_doors
from .processes import remove_webhooks
from .statuses import define

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

CONFIG = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config"},
    "spec": {"traffic": {"enablePermissiveTrafficPolicyMode": True}},
}
WEB = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
}
SAID = "since they were made before namespace {} asked for them"


@pytest.fixture(autouse=True)
def doors() -> Iterator[None]:
    with without_doors():
        yield
    collect_handshakes()


@pytest_asyncio.fixture(loop_scope="session")
async def shop(cluster: ControlPlane, namespace: str) -> AsyncIterator[Installation]:
    """A mesh whose own namespace, for once, is in it: the buyer's, and that of Service `web`."""
    await define(cluster)
    said = ("openservicemesh.io/monitored-by", "openservicemesh.io/sidecar-injection")
    await cluster.kubectl("label", "ns", namespace, f"{said[0]}={namespace}")
    await cluster.kubectl("annotate", "ns", namespace, f"{said[1]}=enabled")
    for document in (CONFIG, WEB):
        await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(document))
    installation = Installation(namespace, namespace)
    yield installation
    await remove_webhooks(cluster, installation)


async def run(
    cluster: ControlPlane, shop: Installation, name: str, ip: str, *, proxied: bool
) -> None:
    """A pod that its kubelet would call ready, with the label of what stands before the dash."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": shop.namespace,
            "labels": {"app": name.partition("-")[0]},
        },
        "spec": {"serviceAccountName": "default", "containers": [{"name": "app", "image": "app"}]},
    }
    whole = injected(pod, shop) if proxied else pod
    await cluster.kubectl("create", "-f", "-", text=json.dumps(whole))
    status = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    patch = ("--subresource=status", "--patch", json.dumps({"status": status}))
    await cluster.kubectl("patch", "pod", name, "-n", shop.namespace, *patch)


def said(mesh: KubernetesMesh) -> list[tuple[str, str]]:
    """Codes and objects of what is wrong with pods."""
    found = (each for each in mesh.api.findings() if each.code.startswith("OSM22"))
    return [(each.code, each.origin.name if each.origin else "") for each in found]


async def test_a_rollout_into_the_mesh_is_told_and_explained(
    cluster: ControlPlane, shop: Installation, tmp_path: Path
) -> None:
    space = shop.namespace
    await run(cluster, shop, "web-old", "10.88.1.1", proxied=False)
    await run(cluster, shop, "buyer", "10.88.1.9", proxied=True)
    question = Question("buyer", "web", "GET", "/")
    async with life(cluster, tmp_path, shop) as living:
        mesh = await living.mesh

        view = mesh.api.view()
        kinds = {each.name: each.proxy for each in view.workloads}
        assert kinds == {"web-old": ProxyKind.NONE, "buyer": ProxyKind.OWN}
        assert [each.name for each in view.proxies] == ["buyer"]
        assert said(mesh) == [("OSM225", "web-old")]
        before = mesh.api.explain(question)
        assert (before.verdict, before.allowed) == ("no endpoints", True)
        assert before.summary.endswith("has a proxy of the mesh: 503")
        assert before.advice == ("Make them anew: delete and create them.",)
        assert any(SAID.format(space) in step.text for step in before.steps)

        await run(cluster, shop, "web-new", "10.88.1.2", proxied=True)
        await eventually(lambda: mesh.api.explain(question).verdict == "allowed", "it is called")
        half = mesh.api.explain(question)
        assert half.workloads == (f"{space}/buyer", f"{space}/web-new")
        assert any("web-old: without a proxy of the mesh" in step.text for step in half.steps)
        assert said(mesh) == [("OSM225", "web-old")]

        await cluster.kubectl("delete", "pod", "web-old", "-n", space, "--now")
        await eventually(lambda: not said(mesh), "nothing is wrong any more")
        assert {each.name for each in mesh.api.view().proxies} == {"buyer", "web-new"}
