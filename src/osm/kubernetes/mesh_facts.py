"""Facts about an installed mesh: control plane, webhooks, certificates, namespaces, proxies."""

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography import x509

from osm.core.api.kubernetes import Namespace
from osm.core.api.membership import is_taken_over
from osm.core.api.mesh_keys import IGNORE, INJECTION, MONITORED_BY, SWITCH, TAKEN_OVER_BY
from osm.core.check.facts import (
    Certificate,
    Lease,
    MeshNamespace,
    Pod,
    Proxy,
    Trial,
    Unseen,
    Webhook,
)
from osm.core.check.readiness import pod_restarts, unready_pod
from osm.core.inject.decision import MeshName, decide
from osm.core.inject.former import has_former_proxy
from osm.core.inject.pod import read_pod
from osm.core.inject.sidecar import CONTAINER, is_injected
from osm.core.inject.verdict import Leave, Refuse
from osm.core.install.names import APP_LABEL, CA_SECRET, CONTROLLER, MESH_CONFIG, Installation
from osm.core.install.single_mesh import argument_of, former_mesh_of
from osm.core.model.groups import CONFIG
from osm.core.model.redirection import Redirection
from osm.errors import PlatformError
from osm.kubernetes.apply import Document, Objects
from osm.kubernetes.resources import Ref
from osm.kubernetes.rollout import selector_text
from osm.kubernetes.seen import seen

POD_LEVEL = "pod-security.kubernetes.io/enforce"
SERVICE_NAME = "kubernetes.io/service-name"
SECRET_FLAG = "ca-bundle-secret-name"  # noqa: S105 a name
_HOOKS = "admissionregistration.k8s.io/v1"


async def mesh_facts(objects: Objects, installation: Installation) -> dict[str, Any]:
    """By the names of `Facts`' fields."""
    mesh = installation.mesh
    namespaces, former = await asyncio.gather(
        seen(lambda: mesh_namespaces(objects, mesh)),
        seen(lambda: _former_mesh(objects, installation)),
    )
    found = namespaces if isinstance(namespaces, list) else []
    name = MeshName(mesh, installation.namespace, former if isinstance(former, str) else "")
    looks = {
        "pods": lambda: _pods(objects, installation),
        "services": lambda: _services(objects, installation),
        "has_config": lambda: _has_config(objects, installation),
        "webhooks": lambda: _webhooks(objects, installation),
        "root": lambda: _root(objects, installation),
        "lease": lambda: _lease(objects, installation),
        "former_namespaces": lambda: _former_namespaces(objects, name),
        "trial": lambda: _trial(objects, found, mesh),
        "proxies": lambda: _proxies(objects, name, found),
    }
    answers = await asyncio.gather(*map(seen, looks.values()))
    seen_namespaces = (
        namespaces
        if isinstance(namespaces, Unseen)
        else tuple(_namespace(each, mesh) for each in namespaces)
    )
    return dict(zip(looks, answers, strict=True)) | {"namespaces": seen_namespaces}


async def mesh_namespaces(objects: Objects, mesh: str) -> list[Document]:
    """The namespaces of a mesh, those that it took over too."""
    selectors = (f"{MONITORED_BY}={mesh}", f"{TAKEN_OVER_BY}={mesh},{MONITORED_BY}!={mesh}")
    pages = [await objects.list("v1", "Namespace", labelSelector=each) for each in selectors]
    return [each for page in pages for each in page if MONITORED_BY in each["metadata"]["labels"]]


async def _former_mesh(objects: Objects, installation: Installation) -> str:
    ref = Ref("apps/v1", "Deployment", CONTROLLER, installation.namespace)
    deployment = await objects.get(ref)
    return former_mesh_of(deployment) if deployment else ""


async def _former_namespaces(objects: Objects, mesh: MeshName) -> tuple[str, ...]:
    if not mesh.former:
        return ()
    found = await objects.list("v1", "Namespace", labelSelector=f"{MONITORED_BY}={mesh.former}")
    left = (each for each in found if not is_taken_over(each["metadata"]["labels"], mesh.name))
    return tuple(sorted(each["metadata"]["name"] for each in left))


def _namespace(document: Document, mesh: str) -> MeshNamespace:
    metadata = document["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    taken = is_taken_over(labels, mesh)
    return MeshNamespace(
        metadata["name"],
        annotations.get(INJECTION, ""),
        labels.get(POD_LEVEL, ""),
        IGNORE in labels and not taken,
        labels[MONITORED_BY] if taken else "",
    )


async def _pods(objects: Objects, installation: Installation) -> tuple[Pod, ...]:
    selector = selector_text({APP_LABEL: CONTROLLER})
    found = await objects.list("v1", "Pod", installation.namespace, labelSelector=selector)
    return tuple(
        Pod(
            each["metadata"]["name"],
            unready_pod(each),
            pod_restarts(each),
            each["spec"].get("nodeName", ""),
        )
        for each in found
    )


async def _services(objects: Objects, installation: Installation) -> tuple[str, ...]:
    found = await objects.list("v1", "Service", installation.namespace)
    return tuple(each["metadata"]["name"] for each in found)


async def _has_config(objects: Objects, installation: Installation) -> bool:
    version = f"{CONFIG}/v1alpha2"
    if not await objects.resources.is_served(version, "MeshConfig"):
        return False
    ref = Ref(version, "MeshConfig", MESH_CONFIG, installation.namespace)
    return await objects.get(ref) is not None


async def _webhooks(objects: Objects, installation: Installation) -> tuple[Webhook, ...]:
    refs = (
        Ref(_HOOKS, "MutatingWebhookConfiguration", installation.mutating_webhook),
        Ref(_HOOKS, "ValidatingWebhookConfiguration", installation.validating_webhook),
    )
    found: list[Webhook] = []
    for ref in refs:
        hooks = (await objects.get(ref) or {}).get("webhooks") or ()
        found += [await _webhook(objects, ref.name, hook["clientConfig"]) for hook in hooks]
    return tuple(dict.fromkeys(found))  # those of one configuration are alike


async def _webhook(objects: Objects, name: str, client: Document) -> Webhook:
    service = client.get("service") or {}
    namespace, host = service.get("namespace", ""), service.get("name", "")
    slices = await objects.list(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, labelSelector=f"{SERVICE_NAME}={host}"
    )
    ready = {
        address
        for each in slices
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or ()
    }
    return Webhook(name, f"{namespace}/{host}", _text(client.get("caBundle", "")), len(ready))


async def _root(objects: Objects, installation: Installation) -> Certificate | None:
    name = await root_secret_name(objects, installation)
    secret = await objects.get(Ref("v1", "Secret", name, installation.namespace))
    if secret is None:
        return None
    pem = _text((secret.get("data") or {}).get("ca.crt", ""))
    try:
        root = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise PlatformError(f"Secret {name} has no certificate in ca.crt: {error}") from error
    subject = root.subject.rfc4514_string()
    return Certificate(subject, root.not_valid_before_utc, root.not_valid_after_utc, pem)


async def root_secret_name(objects: Objects, installation: Installation) -> str:
    """Where a control plane keeps its root: what its Deployment says, else the usual name."""
    ref = Ref("apps/v1", "Deployment", CONTROLLER, installation.namespace)
    document = await objects.get(ref)
    return (document and argument_of(document, SECRET_FLAG)) or CA_SECRET


async def _lease(objects: Objects, installation: Installation) -> Lease | None:
    ref = Ref("coordination.k8s.io/v1", "Lease", installation.lease, installation.namespace)
    document = await objects.get(ref)
    if document is None:
        return None
    spec = document.get("spec") or {}
    renewed = spec.get("renewTime")
    when = datetime.fromisoformat(renewed).astimezone(UTC) if renewed else None
    return Lease(spec.get("holderIdentity") or "", when, int(spec.get("leaseDurationSeconds") or 0))


async def _trial(objects: Objects, namespaces: list[Document], mesh: str) -> Trial | None:
    """Ask for a pod, but not to make it. The webhook has no side effects, so it is asked, too."""
    for each in (_namespace(document, mesh) for document in namespaces):
        if SWITCH.get(each.injection.lower()) and not each.ignored:
            break
    else:
        return None
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "osm-check-", "namespace": each.name},
        "spec": {"containers": [{"name": "check", "image": "osm-check"}]},
    }
    try:
        made = await objects.try_to_create(pod)
    except PlatformError as error:
        return Trial(each.name, error.message, injected=False)
    read = read_pod(made)
    return Trial(each.name, "", injected=not isinstance(read, Refuse) and is_injected(read))


async def _proxies(
    objects: Objects, mesh: MeshName, namespaces: list[Document]
) -> tuple[Proxy, ...]:
    found: list[Proxy] = []
    for document in namespaces:
        namespace = msgspec.convert(document, Namespace)
        pods = await objects.list("v1", "Pod", namespace.metadata.name)
        found += (p for p in (_proxy(pod, namespace, mesh) for pod in pods) if p)
    return tuple(found)


def _proxy(document: Document, namespace: Namespace, mesh: MeshName) -> Proxy | None:
    """A pod that lives, and has a proxy or should have one."""
    status = document.get("status") or {}
    if (
        status.get("phase") in ("Succeeded", "Failed")
        or "deletionTimestamp" in document["metadata"]
    ):
        return None
    pod = read_pod(document)
    if isinstance(pod, Refuse):
        return None
    former = has_former_proxy(pod) and not is_injected(pod)
    if not (former or is_injected(pod)):
        verdict = decide(pod, namespace, mesh, Redirection(), native=True)
        if isinstance(verdict, Leave | Refuse):
            return None
    spec = document["spec"]
    images = [
        each["image"]
        for each in (*(spec.get("initContainers") or ()), *spec["containers"])
        if each["name"] == CONTAINER and not former
    ]
    name, place = document["metadata"]["name"], document["metadata"]["namespace"]
    return Proxy(place, name, images[0] if images else "", unready_pod(document), former)


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeError):
        return ""
