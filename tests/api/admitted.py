"""A mesh whose webhooks are asked, and what people send to its API server."""

import contextlib
from collections.abc import AsyncIterator, Mapping

from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import eventually

from osm.kubernetes.api_server import ApiServer
from osm.runtime.admission import namespace_finder

from .admitting import Admitting, Json, admitting
from .test_crds import define
from .watching import watching

KINDS = (
    "namespaces",
    "meshconfigs",
    "ingressbackends",
    "upstreamtrafficsettings",
    "meshrootcertificates",
)


@contextlib.asynccontextmanager
async def admitted(cluster: ControlPlane, former: str = "") -> AsyncIterator[Admitting]:
    """A mesh that knows what the API server has, a moment later."""
    if "ingressbackends" not in await cluster.kubectl("get", "crd"):
        await define(cluster)
    server = ApiServer.open(cluster.kubeconfig)
    try:
        async with (
            watching(cluster.kubeconfig, KINDS) as copy,
            admitting(cluster, namespace_finder(server), former) as mesh,
        ):
            mesh.objects = copy.objects
            await in_effect(mesh)
            yield mesh
    finally:
        await server.close()


async def in_effect(mesh: Admitting) -> None:
    """Wait until the API server knows the configurations."""
    namespace = await mesh.add_namespace()

    async def asks() -> bool:
        made = await mesh.create(namespace, pod("probe"), "--dry-run=server")
        return is_injected(made)

    await eventually(asks, "the API server asks about pods", within=60)

    async def validates() -> bool:
        try:
            await mesh.create(namespace, ingress("probe", port=15000), "--dry-run=server")
        except RuntimeError:
            return True
        return False

    await eventually(validates, "the API server asks about objects of the mesh", within=60)


def pod(
    name: str = "app",
    annotations: Mapping[str, str] | None = None,
    account: str = "app",
    **container: object,
) -> Json:
    metadata: Json = {"name": name, "labels": {"app": "app"}, "annotations": annotations or {}}
    main = {"name": "app", "image": "mesh.local/app:1", **container}
    spec = {"serviceAccountName": account, "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def ingress(name: str, *, service: str = "shop", port: int = 8080) -> Json:
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "IngressBackend",
        "metadata": {"name": name},
        "spec": {
            "backends": [{"name": service, "port": {"number": port, "protocol": "http"}}],
            "sources": [{"kind": "IPRange", "name": "10.0.0.0/8"}],
        },
    }


def names(document: Json, field: str = "initContainers") -> list[str]:
    spec = document["spec"]
    assert isinstance(spec, dict)
    return [each["name"] for each in spec.get(field, [])]


def is_injected(document: Json) -> bool:
    return "envoy" in names(document)
