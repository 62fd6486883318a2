"""A mesh that `osm install` made on the cluster, and the `osm` command as a person calls it."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.kubernetes.node import Node

from .pods import apply

OSM = str(Path(sys.executable).parent / "osm")
DEMO = Path(__file__).parents[2] / "src" / "osm" / "demo" / "manifests"


class Ran(msgspec.Struct, frozen=True):
    """What a command printed, and how it ended."""

    code: int
    out: str
    errors: str


class Mesh:
    """One mesh of a cluster."""

    def __init__(self, node: Node, namespace: str = "osm-system") -> None:
        self.node = node
        self.namespace = namespace
        self.installed_in_s = 0.0
        self.said = ""
        """What `osm install` printed."""

    async def osm(self, *arguments: str, text: str = "", limit_s: float = 240.0) -> str:
        """Run `osm`; raises `AssertionError` with what it says when it fails."""
        ran = await self.try_osm(*arguments, text=text, limit_s=limit_s)
        assert ran.code == 0, f"osm {' '.join(arguments)}: {ran.out}\n{ran.errors}"
        return ran.out

    async def try_osm(self, *arguments: str, text: str = "", limit_s: float = 240.0) -> Ran:
        """Run `osm`, whatever comes of it."""
        process = await asyncio.create_subprocess_exec(
            *(OSM, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": f"{self.node.programs}:{os.environ['PATH']}",
                "HOME": str(self.node.directory),
                "KUBECONFIG": str(self.node.kubeconfig),
                "XDG_RUNTIME_DIR": str(self.node.directory),
                "COLUMNS": "200",
            },
        )
        async with asyncio.timeout(limit_s):
            out, errors = await process.communicate(text.encode())
        return Ran(process.returncode or 0, out.decode(), errors.decode())

    async def configure(self, **traffic: bool) -> None:
        """Change `spec.traffic` of MeshConfig."""
        await self.patch_config({"traffic": traffic})

    async def patch_config(self, spec: object) -> None:
        """Merge this into `spec` of MeshConfig."""
        patch = json.dumps({"spec": spec})
        config = ("meshconfig", "osm-mesh-config", "--namespace", self.namespace)
        await self.node.kubectl("patch", *config, "--type=merge", f"--patch={patch}")

    async def controllers(self) -> list[dict[str, Any]]:
        """The pods of the control plane, those that end among them."""
        text = await self.node.kubectl(
            *(
                "--namespace",
                self.namespace,
                "get",
                "pods",
                "-l",
                "app=osm-controller",
                "-o",
                "json",
            )
        )
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    async def scale(self, replicas: int, *, kill: bool = False) -> None:
        """Have so many replicas of the control plane; with `kill`, those that there are die at once."""
        deployment = ("deployment/osm-controller", f"--replicas={replicas}")
        await self.node.kubectl("--namespace", self.namespace, "scale", *deployment)
        if kill:
            at_once = ("-l", "app=osm-controller", "--grace-period=0", "--force")
            await self.node.kubectl("--namespace", self.namespace, "delete", "pods", *at_once)
        if replicas:
            await self.rolled_out()
            return
        async with asyncio.timeout(60):
            while await self.controllers():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.5)

    async def rolled_out(self) -> None:
        """Wait until the control plane's Deployment is as it shall be."""
        status = ("rollout", "status", "deployment/osm-controller", "--timeout=55s")
        await self.node.kubectl("--namespace", self.namespace, *status)

    async def join(self, namespace: str) -> None:
        """Take a namespace into the mesh."""
        await self.osm("namespace", "add", namespace)

    async def allow(self, namespace: str, source: str, destination: str) -> None:
        """Let one account call everything of another, by HTTP and TCP."""
        await apply(self.node, access(namespace, source, destination), namespace)


def access(namespace: str, source: str, destination: str) -> str:
    """A TrafficTarget for all requests."""
    account = {"kind": "ServiceAccount", "namespace": namespace}
    group = {
        "apiVersion": "specs.smi-spec.io/v1alpha4",
        "kind": "HTTPRouteGroup",
        "metadata": {"name": "everything"},
        "spec": {"matches": [{"name": "all", "pathRegex": ".*", "methods": ["*"]}]},
    }
    target = {
        "apiVersion": "access.smi-spec.io/v1alpha3",
        "kind": "TrafficTarget",
        "metadata": {"name": f"{source}-{destination}"},
        "spec": {
            "destination": {**account, "name": destination},
            "sources": [{**account, "name": source}],
            "rules": [{"kind": "HTTPRouteGroup", "name": "everything", "matches": ["all"]}],
        },
    }
    return "\n---\n".join(json.dumps(each) for each in (group, target))


@asynccontextmanager
async def installed_mesh(node: Node, *options: str) -> AsyncIterator[Mesh]:
    """Install with `osm install`, and uninstall everything in the end."""
    mesh = Mesh(node)
    started = time.monotonic()
    mesh.said = await mesh.osm("install", *options)
    mesh.installed_in_s = time.monotonic() - started
    assert "OSM installed successfully in namespace [osm-system] with mesh name [osm]" in mesh.said
    try:
        yield mesh
    finally:
        await mesh.osm("uninstall", "mesh", "--force", "-a", "--delete-namespace")
