"""`osm controller --kubernetes` as a process on this machine, and a proxy's stream to it.

Its ports are fixed, so there is one at a time. The API server finds its webhooks since their Services
are names of this machine.
"""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from tests.kubernetes.control_plane import ControlPlane
from tests.mesh.serving import Call, ServedProxy
from tests.waiting import eventually

from osm.ads.server import DISCOVERY
from osm.core.install.names import ADS_PORT, CA_SECRET, HTTP_PORT, Installation
from osm.kubernetes.api_server import ApiServer
from osm.runtime.settings import TRUST_DOMAIN, ads_name

LOOPBACK = "127.0.0.1"
START_S = 60.0


class ControllerProcess:
    """Serves a mesh of a cluster, with a way to its API server that a test may break."""

    def __init__(self, directory: Path, kubeconfig: Path, installation: Installation) -> None:
        self.installation = installation
        self._kubeconfig = kubeconfig
        self._log = directory / "controller.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until proxies may come."""
        with suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, HTTP_PORT)
            writer.close()
            raise RuntimeError(f"port {HTTP_PORT} is taken: does another control plane run here?")
        installation = self.installation
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "osm", "controller", "--kubernetes"),
                *("--kubeconfig", str(self._kubeconfig), "--mesh-name", installation.mesh),
                *("--osm-namespace", installation.namespace),
                env={**os.environ, "CONTROLLER_POD_NAME": "osm-controller-0"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            await eventually(self.is_ready, "it is ready", within=START_S)

    async def is_ready(self) -> bool:
        return await self._is_well("/health/ready")

    async def is_alive(self) -> bool:
        return await self._is_well("/health/alive")

    async def _is_well(self, path: str) -> bool:
        assert self.is_running, self.log()
        with suppress(OSError, TimeoutError):
            return (await self.get(path)).startswith(b"HTTP/1.1 200 ")
        return False

    async def get(self, path: str, port: int = HTTP_PORT) -> bytes:
        """Head and body of an answer."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nhost: {LOOPBACK}\r\n\r\n".encode())
                return await reader.read()
            finally:
                writer.close()

    async def json(self, path: str, port: int) -> Any:
        return json.loads((await self.get(path, port)).partition(b"\r\n\r\n")[2])

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def kill(self) -> None:
        """As a crash would."""
        if self.is_running:
            assert self._process is not None
            self._process.kill()
        if self._process is not None:
            await self._process.wait()


async def make_services(cluster: ControlPlane, namespace: str) -> None:
    """For both webhooks: they lead to this machine."""
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        for name in ("osm-injector", "osm-validator")
    ]
    await cluster.kubectl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, services)))


async def remove_webhooks(cluster: ControlPlane, installation: Installation) -> None:
    for kind, name in (
        ("mutatingwebhookconfiguration", installation.mutating_webhook),
        ("validatingwebhookconfiguration", installation.validating_webhook),
    ):
        await cluster.kubectl("delete", kind, name, "--ignore-not-found")


@asynccontextmanager
async def stream(
    server: ApiServer, installation: Installation, token: str
) -> AsyncIterator[ServedProxy]:
    """Of the proxy of a pod, whose token it shows."""
    path = f"/api/v1/namespaces/{installation.namespace}/secrets/{CA_SECRET}"
    secret = json.loads(await server.get(path))
    root = base64.b64decode(secret["data"]["ca.crt"])
    options = (
        ("grpc.ssl_target_name_override", ads_name(TRUST_DOMAIN)),
        ("grpc.use_local_subchannel_pool", 1),
    )
    credentials = grpc.ssl_channel_credentials(root)
    async with grpc.aio.secure_channel(f"{LOOPBACK}:{ADS_PORT}", credentials, options) as channel:
        call: Call = channel.stream_stream(DISCOVERY)(
            metadata=(("authorization", f"Bearer {token}"),)
        )
        connected = ServedProxy(call)
        try:
            yield connected
        finally:
            connected.stop()
            call.cancel()
