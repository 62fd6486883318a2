"""A mesh that a process serves, with a proxy that is connected, and quick ways to change its objects."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fault_proxy import FaultProxy, fault_proxy
from tests.mesh.serving import ServedProxy
from tests.waiting import eventually

from osm.core.envoy.names import ROOT_CERTIFICATES, SERVICE_CERTIFICATE, outbound_routes
from osm.core.install.names import Installation
from osm.core.model.identity import token_audience
from osm.core.xds import types
from osm.kubernetes.api_server import ApiServer, Status

from .processes import ControllerProcess, make_services, remove_webhooks, stream
from .statuses import SPLITS, define

AT_ONCE = 16
CLIENT = "cart-0"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
Document = dict[str, Any]


def pod(name: str, app: str = "other", account: str = "default") -> Document:
    container = {"name": "app", "image": "mesh.local/app:1", "ports": [{"containerPort": 8080}]}
    # No scheduler looks at it: there is no node.
    spec = {"schedulerName": "none", "serviceAccountName": account, "containers": [container]}
    return {"metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, app: str = "") -> Document:
    port = {"port": 80, "targetPort": 8080, "appProtocol": "http"}
    return {
        "metadata": {"name": name},
        "spec": {"ports": [port], "selector": {"app": app or name}},
    }


def split(name: str) -> Document:
    backends = [{"service": "cart", "weight": 1}]
    return {
        "apiVersion": SPLITS,
        "kind": "TrafficSplit",
        "metadata": {"name": name},
        "spec": {"service": name, "backends": backends},
    }


class Shop:
    """`namespace` is of the mesh; it has the service `cart`, whose pod's proxy is connected."""

    def __init__(
        self,
        cluster: ControlPlane,
        server: ApiServer,
        proxy: FaultProxy,
        process: ControllerProcess,
    ) -> None:
        self.cluster = cluster
        self.server = server
        self.proxy = proxy
        self.process = process
        self.installation = process.installation
        self.namespace = f"shop-{self.installation.mesh}"

    def path(self, plural: str, name: str = "", namespace: str = "") -> str:
        root = f"/apis/{SPLITS}" if plural == "trafficsplits" else "/api/v1"
        path = f"{root}/namespaces/{namespace or self.namespace}/{plural}"
        return f"{path}/{name}" if name else path

    async def create(self, plural: str, document: Document, namespace: str = "") -> Document:
        body = await self.server.request("POST", self.path(plural, "", namespace), body=document)
        made: Document = json.loads(body)
        return made

    async def delete(self, plural: str, name: str) -> None:
        """At once, also a pod."""
        now = {"gracePeriodSeconds": "0"}
        await self.server.request("DELETE", self.path(plural, name), now)

    async def items(self, plural: str, namespace: str = "") -> list[Document]:
        found = json.loads(await self.server.get(self.path(plural, "", namespace)))
        items: list[Document] = found["items"]
        return items

    async def add_namespace(self, name: str) -> None:
        """Of the mesh, and wait until pods may be made in it."""
        labels = {"openservicemesh.io/monitored-by": self.installation.mesh}
        annotations = {"openservicemesh.io/sidecar-injection": "enabled"}
        metadata = {"name": name, "labels": labels, "annotations": annotations}
        await self.server.request("POST", "/api/v1/namespaces", body={"metadata": metadata})

        async def has_account() -> bool:
            return bool(await self.items("serviceaccounts", name))

        await eventually(has_account, "an account")

    async def run_pod(
        self, name: str, address: str, app: str, namespace: str = "", account: str = "default"
    ) -> None:
        """A pod that its kubelet would call ready."""
        await self.create("pods", pod(name, app, account), namespace)
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        path = f"{self.path('pods', name, namespace)}/status"
        await self.server.request("PATCH", path, None, {"status": status}, STRATEGIC)

    async def injects(self, namespace: str) -> bool:
        """What the injector says of a pod there."""
        path = self.path("pods", "", namespace)
        try:
            asked = {"dryRun": "All"}
            answer = await self.server.request("POST", path, asked, pod("probe"))
        except Status:
            return False  # its certificate is not in the configuration yet
        return b'"osm-proxy-uuid"' in answer

    async def token(self, name: str) -> str:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name}
        audience = token_audience(self.installation.mesh)
        body = {"spec": {"audiences": [audience], "boundObjectRef": bound}}
        path = f"{self.path('serviceaccounts', 'default')}/token"
        answer = json.loads(await self.server.request("POST", path, body=body))
        token: str = answer["status"]["token"]
        return token

    @asynccontextmanager
    async def connected(
        self, name: str = CLIENT, held: Mapping[str, Mapping[str, str]] | None = None
    ) -> AsyncIterator[ServedProxy]:
        """The stream of a pod's proxy, which has asked for what an Envoy asks for that calls `cart`."""
        cluster = f"{self.namespace}/cart|8080"
        wanted = {
            types.CLUSTER: ("*", cluster),
            types.LISTENER: ("*",),
            types.SECRET: (SERVICE_CERTIFICATE, ROOT_CERTIFICATES),
            types.ROUTE: (outbound_routes(80),),
            types.VIRTUAL_HOST: (f"{outbound_routes(80)}/cart.{self.namespace}",),
            types.ENDPOINT: (cluster,),
        }
        async with stream(self.server, self.installation, await self.token(name)) as proxy:
            for type_url, names in wanted.items():
                await proxy.ask(type_url, *names, held=(held or {}).get(type_url))
            yield proxy


async def many(work: Iterable[Awaitable[object]]) -> None:
    """Do them, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[object]) -> None:
        async with turn:
            await each

    await asyncio.gather(*map(one, work))


@asynccontextmanager
async def shop(cluster: ControlPlane, directory: Path) -> AsyncIterator[Shop]:
    """One whose webhooks are in effect."""
    await define(cluster)
    name = f"m-{uuid.uuid4().hex[:8]}"
    installation = Installation(name, name)
    async with AsyncExitStack() as stack:
        server = ApiServer.open(cluster.kubeconfig)
        stack.push_async_callback(server.close)
        proxy = await stack.enter_async_context(fault_proxy(cluster))
        process = ControllerProcess(directory, proxy.kubeconfig, installation)
        found = Shop(cluster, server, proxy, process)
        await server.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
        await make_services(cluster, name)
        stack.push_async_callback(
            cluster.kubectl, "delete", "namespace", name, found.namespace, "--wait=false"
        )
        await found.add_namespace(found.namespace)
        stack.push_async_callback(remove_webhooks, cluster, installation)
        stack.push_async_callback(process.kill)
        await process.start()
        await eventually(lambda: found.injects(found.namespace), "pods get proxies", within=60)
        await found.create("services", service("cart"))
        await found.run_pod(CLIENT, "10.88.0.7", "cart")
        yield found
