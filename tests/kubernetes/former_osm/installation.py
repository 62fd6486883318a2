"""Open Service Mesh v1.2.4 on a node, as its users installed it: by its Helm chart."""

import asyncio
import json
from pathlib import Path

import yaml
from images.catalogue import name
from tests.chart.helm_command import Helm
from tests.kubernetes.node import Node

from .image import FORMER, NAME, REGISTRY, TAG, build_former
from .programs import former_sources

FORMER_MESH, FORMER_NAMESPACE = "osm", "osm-system"
_DEPLOYMENTS = ("osm-bootstrap", "osm-controller", "osm-injector")
_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "32M"},
    "limits": {"cpu": "1", "memory": "512M"},
}
_PARTS = ("osmController", "osmInjector", "osmSidecarInit", "osmBootstrap")
_VALUES = {
    "image": {
        "registry": REGISTRY,
        "tag": TAG,
        "pullPolicy": "Never",
        "name": dict.fromkeys(_PARTS, NAME),
    },
    "curlImage": FORMER,
    "sidecarImage": name("osm-envoy"),
    "enablePermissiveTrafficPolicy": False,
    "enforceSingleMesh": True,
    # The module has a stand-in for the extension (`programs`).
    "featureFlags": {"enableWASMStats": False},
    **{part: {"resource": _RESOURCES} for part in ("osmController", "injector", "osmBootstrap")},
}
"""In SMI mode, without what the chart has beside the mesh. Its proxies run our Envoy, which takes all
that OSM's control plane sends as it is."""


async def install_former(node: Node, home: Path) -> None:
    """Install it, and wait until it injects and serves. `home` is where Helm may write.

    Its hooks, whose images are not here, do not run: one looks for other meshes, one cleans up.
    """
    await node.import_image(await asyncio.to_thread(build_former))
    values = home / "former-values.yaml"
    values.write_text(yaml.safe_dump({"osm": json.loads(json.dumps(_VALUES))}), encoding="utf-8")
    chart = await asyncio.to_thread(lambda: former_sources() / "charts" / "osm")
    where = ("--namespace", FORMER_NAMESPACE, "--create-namespace", "--no-hooks")
    words = ("install", FORMER_MESH, str(chart), *where, "--values", str(values))
    done = await asyncio.to_thread(Helm(home, node.kubeconfig).run, *words)
    assert not done.returncode, done.stderr
    for deployment in _DEPLOYMENTS:
        status = ("rollout", "status", f"deployment/{deployment}", "--timeout=90s")
        await node.kubectl("--namespace", FORMER_NAMESPACE, *status)
    await _has_webhook(node)


async def _has_webhook(node: Node) -> None:
    """The injector makes it a moment after it is ready."""
    webhook = f"mutatingwebhookconfiguration/osm-webhook-{FORMER_MESH}"
    await node.kubectl("wait", webhook, "--for=create", "--timeout=60s")
