"""The real `osm` as a person runs it, against a test cluster; and what stands for a mesh there."""

import asyncio
import atexit
import functools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.kubernetes.control_plane import ControlPlane

LIMIT_S = 60.0


class Result(NamedTuple):
    """What a call of `osm` came to."""

    code: int
    out: str
    err: str


@functools.cache
def _empty_directory() -> str:
    """Short, or unix sockets would be elsewhere, and meshes of others would be found there."""
    path = tempfile.mkdtemp(prefix="osm-", dir="/tmp")
    atexit.register(shutil.rmtree, path)
    return path


async def start_osm(
    cluster: ControlPlane,
    *arguments: str,
    kubeconfig: Path | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> asyncio.subprocess.Process:
    """Start `osm` where no mesh runs on this machine."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "osm", *arguments),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cluster.directory),
            "XDG_RUNTIME_DIR": _empty_directory(),
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        },
    )


async def osm(
    cluster: ControlPlane, *arguments: str, kubeconfig: Path | None = None, text: str = ""
) -> Result:
    """Run `osm` to its end, with `text` on its standard input."""
    pipe = asyncio.subprocess.PIPE
    process = await start_osm(cluster, *arguments, kubeconfig=kubeconfig, stdin=pipe)
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


async def stand_for_mesh(
    cluster: ControlPlane, namespace: str, mesh: str, version: str = "v1.2.3"
) -> None:
    """The Deployment of a control plane, without pods."""
    labels = {
        "app": "osm-controller",
        "meshName": mesh,
        "app.kubernetes.io/name": "openservicemesh.io",
        "app.kubernetes.io/instance": mesh,
        "app.kubernetes.io/version": version,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "osm-controller", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "osm-controller"}},
            "template": {
                "metadata": {"labels": {"app": "osm-controller"}},
                "spec": {"containers": [{"name": "osm-controller", "image": "mesh.local/osm:1"}]},
            },
        },
    }
    await cluster.kubectl("create", "-f", "-", text=json.dumps(deployment))


async def get(cluster: ControlPlane, *arguments: str) -> Any:
    """An object as the API server has it."""
    return json.loads(await cluster.kubectl("get", *arguments, "-o", "json"))


async def nobody_special(cluster: ControlPlane, namespace: str) -> Path:
    """A kubeconfig with the account `default` of a namespace, which may do nothing."""
    token = (await cluster.kubectl("create", "token", "default", "-n", namespace)).strip()
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = cluster.directory / f"{namespace}.kubeconfig"
    path.write_text(json.dumps(config))
    return path
