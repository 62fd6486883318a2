"""Control planes that live in this process until one of their writes, and what they leave behind."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import Asked, Fault, FaultProxy, fault_proxy

from osm.core.install.names import CA_SECRET, PROXY_FILES, Installation
from osm.kubernetes.api_server import ApiServer, Status
from osm.kubernetes.guard import Guard
from osm.kubernetes.lease import LeaseTimes
from osm.runtime.kubernetes_mesh import KubernetesMesh, KubernetesSettings, run_kubernetes_mesh
from osm.runtime.writer import write_while_leading

from .keeping import collect_handshakes
from .statuses import said

POD = "osm-controller-0"
TIMES = LeaseTimes(lease_s=7, renew_s=6.0, retry_s=0.5)
ABSENT_S = 0.5
LEASES = 2
"""Of the writes to the Lease so many count: it is made, and renewed."""


@contextmanager
def without_doors() -> Iterator[None]:
    """Control planes open none of their fixed ports, and leave logs and collector of this process
    alone. They wait for each other, and for a deletion, shorter than the product's own times.
    """

    async def opened(*_: object) -> None: ...

    here = "osm.runtime.kubernetes_mesh"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open_public_http", "open_webhooks", "open_pod_doors"):
            patch.setattr(f"{here}.{name}", opened)
        for name in ("tune_collector", "keep_out_of_collections", "send_logs_to", "set_log_level"):
            patch.setattr(f"{here}.{name}", lambda *_: None)
        patch.setattr("osm.runtime.control_core.set_log_level", lambda _: None)
        patch.setattr(f"{here}.ADS_PORT", 0)
        patch.setattr(f"{here}.write_while_leading", partial(write_while_leading, times=TIMES))
        patch.setattr("osm.runtime.writer.Guard", partial(Guard, absent_s=ABSENT_S))
        yield


Point = tuple[str, int]


class Life:
    """Of one control plane. After the write `last`, which is a method, a plural, and which one of
    these, it hears and says nothing more: not even how that write went. Without it it lives until
    the end of its block.
    """

    def __init__(self, proxy: FaultProxy, last: Point | None) -> None:
        self._last = last
        self.writes: list[str] = []
        """What it has written, as methods and plurals."""
        self.is_over = asyncio.Event()
        self._proxy = proxy
        self.mesh: asyncio.Future[KubernetesMesh] = asyncio.get_running_loop().create_future()
        proxy.choose = self._choose

    def _choose(self, asked: Asked) -> Fault | None:
        if self.is_over.is_set():
            return Fault(refuse=True)
        if asked.method == "GET":
            return None
        what = _what(asked)
        if what.endswith("leases") and self._leases() == LEASES:
            return None
        self.writes.append(what)
        if (what, self.writes.count(what)) == self._last:
            self.is_over.set()
            return Fault(mute_after_s=0.0)
        return None

    def _leases(self) -> int:
        return sum(each.endswith("leases") for each in self.writes)

    async def end(self) -> None:
        """Wait for the last write, and until it is in the API server."""
        await asyncio.wait_for(self.is_over.wait(), 60)
        await asyncio.sleep(0.3)

    def points(self) -> list[Point]:
        """After which it could have ended."""
        counts = Counter(self.writes)
        return [(what, n + 1) for what in counts for n in range(counts[what])]

    async def run(self, settings: KubernetesSettings) -> None:
        try:
            async with run_kubernetes_mesh(settings, lambda *_: None) as mesh:
                self.mesh.set_result(mesh)
                await mesh.stopped()
        except Exception as error:
            if not self.mesh.done():
                self.mesh.set_exception(error)
            raise


def _what(asked: Asked) -> str:
    parts = asked.path.split("/")
    start = parts.index("namespaces") + 2 if "namespaces" in parts else 3 + (parts[1] == "apis")
    plural, *rest = parts[start:]
    status = "/status" if rest[1:] == ["status"] else ""
    return f"{asked.method} {plural}{status}"


@asynccontextmanager
async def life(
    cluster: ControlPlane,
    directory: Path,
    installation: Installation,
    last: Point | None = None,
    *,
    pod: str = POD,
) -> AsyncIterator[Life]:
    """Let one live; at the end of the block it dies without a word."""
    async with fault_proxy(cluster) as proxy:
        kubeconfig = directory / proxy.address.replace(":", "-")
        kubeconfig.write_bytes(proxy.kubeconfig.read_bytes())
        kubeconfig.chmod(0o600)
        living = Life(proxy, last)
        settings = KubernetesSettings(
            installation, pod, "mesh.local/envoy:1", "mesh.local/init:1", kubeconfig=kubeconfig
        )
        task = asyncio.create_task(living.run(settings))
        try:
            yield living
            if task.done() and not living.is_over.is_set():
                await task  # it failed
        finally:
            living.is_over.set()
            proxy.cut_all()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            collect_handshakes()


class Left(Mapping[str, object]):
    """What a mesh has written, with `root` in place of its root certificate, and without times."""

    def __init__(self, found: Mapping[str, object], root: bytes) -> None:
        self._found = found
        self.root = root

    def __getitem__(self, key: str) -> object:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)


async def left(server: ApiServer, installation: Installation, shop: str) -> Left:
    """Read it all. `shop` is the namespace of the mesh's objects."""
    own = installation.namespace
    secret = await _get(server, f"/api/v1/namespaces/{own}/secrets/{CA_SECRET}")
    root = base64.b64decode(secret["data"]["ca.crt"]) if secret else b""
    hooks = "/apis/admissionregistration.k8s.io/v1"
    found: dict[str, object] = {"root": bool(root)}
    for path in (
        f"{hooks}/mutatingwebhookconfigurations/{installation.mutating_webhook}",
        f"{hooks}/validatingwebhookconfigurations/{installation.validating_webhook}",
    ):
        document = await _get(server, path)
        bundles = {
            base64.b64decode(each["clientConfig"].get("caBundle", ""))
            for each in document.get("webhooks", ())
        }
        found[path.split("/")[4]] = [each == root for each in bundles]
    files = await _get(server, f"/api/v1/namespaces/{shop}/configmaps/{PROXY_FILES}")
    data = files.get("data", {})
    found["files"] = sorted(data), data.get("roots.pem", "").encode() == root
    splits = f"/apis/split.smi-spec.io/v1alpha4/namespaces/{shop}/trafficsplits"
    for split in (await _get(server, splits)).get("items", ()):
        found[split["metadata"]["name"]] = said(split)
    told = await _get(server, f"/api/v1/namespaces/{shop}/events")
    found["events"] = sorted(
        (each["involvedObject"]["name"], each["reason"], each["message"].replace(shop, "shop"))
        for each in told.get("items", ())
        if each["source"].get("component") == "osm-controller"
    )
    return Left(found, root)


async def _get(server: ApiServer, path: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(await server.get(path))
    except Status as status:
        if status.code != 404:
            raise
        return {}
    return document
