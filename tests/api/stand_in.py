"""What a kubelet and a control plane would do for an installed mesh, where neither runs."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.core.install.names import Installation
from osm.core.pki.certificate import build_root
from osm.kubernetes.api_server import ApiServer, Status
from osm.kubernetes.apply import Document, Objects
from osm.kubernetes.resources import Ref

HOOKS = "admissionregistration.k8s.io/v1"
_APPLY = "application/apply-patch+yaml"


def new_root(days: float = 3650) -> str:
    """A root certificate that ends in so many days, PEM."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    root = build_root(key, serial=7, now=now, lifetime=timedelta(days=days))
    return root.public_bytes(Encoding.PEM).decode()


class StandIn:
    """Makes the pods of a mesh ready, and does what its leader does."""

    def __init__(self, server: ApiServer, installation: Installation, root: str) -> None:
        self._objects = Objects(server)
        self._here = installation
        self._root = root

    async def work(self) -> None:
        while True:
            with suppress(Status):
                await self._make_pods_ready()
                await self._write_bundles()
            await asyncio.sleep(0.2)

    async def lead(self) -> None:
        """Make the root's Secret, and hold the Lease."""
        root = {"ca.crt": _base64(self._root), "private.key": _base64("key")}
        await self._objects.create(self._document("v1", "Secret", "osm-ca-bundle", data=root))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": "osm-controller-1",
            "leaseDurationSeconds": 3600,
            "renewTime": now,
        }
        lease = self._document("coordination.k8s.io/v1", "Lease", self._here.lease, spec=spec)
        await self._objects.create(lease)
        for service in ("osm-injector", "osm-validator"):
            await self._objects.create(self._endpoint_of(service))

    def _endpoint_of(self, service: str) -> Document:
        """Kubernetes makes none for a pod that is on no node."""
        slice_ = self._document("discovery.k8s.io/v1", "EndpointSlice", f"{service}-1")
        slice_["metadata"]["labels"] = {"kubernetes.io/service-name": service}
        endpoint = {"addresses": ["10.88.0.9"], "conditions": {"ready": True}}
        return slice_ | {"addressType": "IPv4", "endpoints": [endpoint]}

    async def give_files(self, namespace: str) -> None:
        """Make what proxies of a namespace read."""
        document = self._document("v1", "ConfigMap", "osm-proxy-files", data={"roots.pem": "x"})
        document["metadata"]["namespace"] = namespace
        await self._objects.create(document)

    async def _make_pods_ready(self) -> None:
        for pod in await self._objects.list(
            "v1", "Pod", self._here.namespace, labelSelector="app=osm-controller"
        ):
            if (pod["status"].get("conditions") or [{}])[-1].get("type") != "Ready":
                await self._patch_status(pod)

    async def _patch_status(self, pod: Document) -> None:
        ref = Ref("v1", "Pod", pod["metadata"]["name"], self._here.namespace)
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "podIP": "10.88.0.9",
            "podIPs": [{"ip": "10.88.0.9"}],
        }
        await self._objects.server.request(
            "PATCH",
            f"{await self._objects.resources.path(ref)}/status",
            body={"status": status},
            content_type="application/merge-patch+json",
        )

    async def _write_bundles(self) -> None:
        """As the leader does: by server-side apply, under its own name."""
        for kind, name in (
            ("MutatingWebhookConfiguration", self._here.mutating_webhook),
            ("ValidatingWebhookConfiguration", self._here.validating_webhook),
        ):
            found = await self._objects.get(Ref(HOOKS, kind, name))
            hooks = [
                {"name": hook["name"], "clientConfig": {"caBundle": _base64(self._root)}}
                for hook in (found or {}).get("webhooks") or ()
                if not hook["clientConfig"].get("caBundle")
            ]
            if hooks:
                body = {"apiVersion": HOOKS, "kind": kind, "metadata": {"name": name}}
                await self._objects.server.request(
                    "PATCH",
                    await self._objects.resources.path(Ref(HOOKS, kind, name)),
                    {"fieldManager": "osm-controller", "force": "true"},
                    body | {"webhooks": hooks},
                    _APPLY,
                )

    def _document(self, api_version: str, kind: str, name: str, **content: object) -> Document:
        labels = {
            "app.kubernetes.io/name": "openservicemesh.io",
            "app.kubernetes.io/instance": self._here.mesh,
        }
        metadata = {"name": name, "namespace": self._here.namespace, "labels": labels}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


@asynccontextmanager
async def stand_in(
    cluster: ControlPlane, mesh: str = "osm", namespace: str = "osm-system", root: str = ""
) -> AsyncIterator[StandIn]:
    """Pods of this mesh become ready, and its webhooks trusted, while this is open."""
    server = ApiServer.open(cluster.kubeconfig)
    standing = StandIn(server, Installation(mesh, namespace), root or new_root())
    task = asyncio.create_task(standing.work())
    try:
        yield standing
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()


async def clean(cluster: ControlPlane, *, definitions: bool = False) -> None:
    """Remove all meshes, and every namespace that a test made; definitions take long to come back."""
    shared = [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "clusterrolebindings",
        "clusterroles",
        *(["crd"] if definitions else []),
    ]
    selector = "app.kubernetes.io/name=openservicemesh.io"
    async with reading(cluster) as objects:
        for api_version, kind in map(KINDS.__getitem__, shared):
            for each in await objects.list(api_version, kind, labelSelector=selector):
                await objects.delete(Ref(api_version, kind, each["metadata"]["name"]))
        await _delete_namespaces(objects)
        if definitions:
            await eventually(lambda: _has_no_definitions(objects), "no definitions", within=60)


async def _delete_namespaces(objects: Objects) -> None:
    async with asyncio.timeout(60):
        while left := [
            each["metadata"]["name"]
            for each in await objects.list("v1", "Namespace")
            if not each["metadata"]["name"].startswith("kube-")
            and each["metadata"]["name"] != "default"
        ]:
            for name in left:
                await objects.delete(Ref("v1", "Namespace", name))
            await asyncio.sleep(0.3)


async def _has_no_definitions(objects: Objects) -> bool:
    selector = "app.kubernetes.io/name=openservicemesh.io"
    kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    return not await objects.list(*kind, labelSelector=selector)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KINDS = {
    "crd": ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    "namespaces": ("v1", "Namespace"),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    "mutatingwebhookconfigurations": (HOOKS, "MutatingWebhookConfiguration"),
    "validatingwebhookconfigurations": (HOOKS, "ValidatingWebhookConfiguration"),
    "roles": ("rbac.authorization.k8s.io/v1", "Role"),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    "deployments": ("apps/v1", "Deployment"),
    "services": ("v1", "Service"),
    "serviceaccounts": ("v1", "ServiceAccount"),
    "configmaps": ("v1", "ConfigMap"),
    "meshconfigs": ("config.openservicemesh.io/v1alpha2", "MeshConfig"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "secrets": ("v1", "Secret"),
    "pdb": ("policy/v1", "PodDisruptionBudget"),
}
EVERYTHING = tuple(KINDS)[:12]


@asynccontextmanager
async def reading(cluster: ControlPlane) -> AsyncIterator[Objects]:
    """The objects of a cluster, quicker than by kubectl."""
    server = ApiServer.open(cluster.kubeconfig)
    try:
        yield Objects(server)
    finally:
        await server.close()


async def names(cluster: ControlPlane, *kinds: str) -> set[str]:
    """All objects of kinds, as `kind/namespace/name`, but for what each namespace has anyway."""
    async with reading(cluster) as objects:
        return {
            f"{kind}/{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
            for api_version, kind in map(KINDS.__getitem__, kinds)
            for item in await objects.list(api_version, kind)
            if item["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        }


async def forms(cluster: ControlPlane, *kinds: str) -> dict[str, str]:
    """The resource version of each object of the mesh."""
    selector = "app.kubernetes.io/name=openservicemesh.io"
    async with reading(cluster) as objects:
        return {
            f"{kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for api_version, kind in map(KINDS.__getitem__, kinds)
            for item in await objects.list(api_version, kind, labelSelector=selector)
        }
