"""OSM's end-to-end scenarios: the control plane itself, what it made, and what it keeps as it was."""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.chart.helm_command import CHART, Helm
from tests.kubernetes.node import Node

from .mesh import Mesh
from .pods import app, apply, ready
from .waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESTORED_WITHIN_S = 10.0
CRD = "customresourcedefinition/telemetries.policy.openservicemesh.io"
MUTATING = "mutatingwebhookconfiguration/osm-webhook-osm"
VALIDATING = "validatingwebhookconfiguration/osm-validator-mesh-osm"
DEFAULTS = {
    ("traffic", "enablePermissiveTrafficPolicyMode"): True,
    ("traffic", "enableEgress"): True,
    ("traffic", "outboundPortExclusionList"): [],
    ("traffic", "inboundPortExclusionList"): [],
    ("traffic", "outboundIPRangeExclusionList"): [],
    ("sidecar", "logLevel"): "error",
    ("sidecar", "enablePrivilegedInitContainer"): False,
    ("sidecar", "maxDataPlaneConnections"): 0,
    ("sidecar", "configResyncInterval"): "0s",
    ("observability", "osmLogLevel"): "info",
    ("observability", "enableDebugServer"): False,
    ("certificate", "serviceCertValidityDuration"): "24h",
    ("certificate", "certKeyBitSize"): 2048,
}


async def spec_of_mesh_config(mesh: Mesh) -> dict[str, Any]:
    config = ("get", "meshconfig", "osm-mesh-config", "-o", "json")
    text = await mesh.node.kubectl("--namespace", mesh.namespace, *config)
    spec: dict[str, Any] = json.loads(text)["spec"]
    return spec


async def test_an_installed_mesh_has_osms_settings(mesh: Mesh) -> None:
    spec = await spec_of_mesh_config(mesh)
    assert {place: spec[place[0]].get(place[1]) for place in DEFAULTS} == DEFAULTS


async def test_what_was_changed_or_deleted_is_restored(node: Node, mesh: Mesh) -> None:
    ignore = '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]'
    another = '[{"op": "add", "path": "/spec/names/shortNames", "value": ["broken"]}]'
    await asyncio.gather(
        restored(node, MUTATING, ignore),
        restored(node, VALIDATING, ignore),
        restored(node, CRD, another),
    )


async def restored(node: Node, name: str, change: str) -> None:
    """Change and delete an object, and wait each time until it is as before."""
    before = await seen(node, name)

    async def is_restored() -> bool:
        now = await seen(node, name)
        changed = (now.uid, now.generation) != (before.uid, before.generation)
        return changed and now.content == before.content

    await node.kubectl("patch", name, "--type=json", f"--patch={change}")
    await eventually(is_restored, f"{name} is as before", within=RESTORED_WITHIN_S)
    before = await seen(node, name)
    await node.kubectl("delete", name, "--wait=false")
    await eventually(is_restored, f"{name} is there again", within=RESTORED_WITHIN_S)


class Seen(NamedTuple):
    """An object's identity, how often it was changed, and what it says."""

    uid: str
    generation: int
    content: Any


async def seen(node: Node, name: str) -> Seen:
    text = await node.kubectl("get", name, "--ignore-not-found", "-o", "json")
    if not text:
        return Seen("", 0, None)
    found = json.loads(text)
    metadata = found["metadata"]
    return Seen(metadata["uid"], metadata["generation"], found.get("webhooks") or found["spec"])


async def test_two_replicas_serve_and_status_knows_all_proxies(
    node: Node, mesh: Mesh, meshed: str
) -> None:
    await mesh.scale(2)
    try:
        await apply(node, app("many", "sleep", "900", replicas=6), meshed)
        await ready(node, meshed, "app=many", count=6)

        async def all_in_sync() -> bool:
            return (await mesh.osm("proxy", "list", "-n", meshed)).count("InSync") == 6

        await eventually(all_in_sync, "six proxies are in sync")
        status = json.loads(await mesh.osm("status", "-o", "json"))
        assert status["healthy"], status["problems"]
        there = [each for each in status["mesh"]["proxies"] if each["namespace"] == meshed]
        assert len(there) == 6
        served = await asyncio.gather(*(served_by(mesh, pod) for pod in await mesh.controllers()))
        assert len(served) == 2 and all(served)
    finally:
        await mesh.scale(1)


async def served_by(mesh: Mesh, pod: dict[str, Any]) -> int:
    """How many proxies have connected to a replica."""
    text = await mesh.node.kubectl("-n", mesh.namespace, "logs", pod["metadata"]["name"])
    return text.count("proxy connected")


async def test_a_mesh_is_uninstalled_and_installed_again_by_helm_and_by_osm(
    node: Node, mesh: Mesh, namespace: str, tmp_path: Path
) -> None:
    await mesh.osm("uninstall", "mesh", "--force")
    assert await mesh.controllers() == []
    helm = Helm(tmp_path, node.kubeconfig)
    chart = ("install", "osm", str(CHART), "-n", mesh.namespace)
    done = await asyncio.to_thread(helm.run, *chart)
    assert not done.returncode, done.stderr
    await mesh.rolled_out()
    await works(mesh, namespace, "first")
    await mesh.osm("uninstall", "mesh", "--force")
    printed = await mesh.osm("install")
    assert "OSM installed successfully in namespace [osm-system] with mesh name [osm]" in printed
    await works(mesh, namespace, "second")


async def works(mesh: Mesh, namespace: str, name: str) -> None:
    """A pod that is created now gets a proxy, and all is well, also with those that were there before."""
    await mesh.join(namespace)
    await apply(mesh.node, app(name, "sleep", "900"), namespace)
    (pod,) = await ready(mesh.node, namespace, f"app={name}")
    assert "envoy" in [each["name"] for each in pod["spec"]["initContainers"]]

    async def is_well() -> bool:
        return (await mesh.try_osm("status")).code == 0

    await eventually(is_well, "the mesh is well")
