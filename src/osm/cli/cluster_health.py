"""The steps of `osm verify control-plane-health`: pods, what they answer, and the webhooks."""

from typing import Any

import httpx2

from osm.cli.cluster_mesh import (
    InstalledMesh,
    choose_mesh,
    controller_pods,
    installed_meshes,
    is_ready,
)
from osm.cli.verification import Verified, together, unknown, verified
from osm.core.install.names import (
    CONTROLLER,
    HTTP_PORT,
    INJECTOR_SERVICE,
    VALIDATOR_SERVICE,
    Installation,
)
from osm.kubernetes.apply import Objects
from osm.kubernetes.port_forward import PodPort, forwarded
from osm.kubernetes.resources import Ref

Document = dict[str, Any]
_ADMISSION = "admissionregistration.k8s.io/v1"
_PROBES = ("health/ready", "health/alive")
_LIMIT_S = 10.0


async def verify_control_plane(objects: Objects, name: str | None, namespace: str) -> Verified:
    """Verify the control plane of a mesh."""
    mesh = choose_mesh(await installed_meshes(objects, namespace), name)
    pods = await controller_pods(objects, mesh)
    steps = [_pods_step(mesh, pods)]
    for pod in filter(is_ready, pods):
        steps += [await _probe_step(objects, pod, path) for path in _PROBES]
    for service in (CONTROLLER, INJECTOR_SERVICE, VALIDATOR_SERVICE):
        known = await objects.get(Ref("v1", "Service", service, mesh.namespace))
        steps.append(service_step(service, known, pods, mesh.namespace))
    installation = Installation(mesh.mesh, mesh.namespace)
    for kind, webhook, service in (
        ("MutatingWebhookConfiguration", installation.mutating_webhook, INJECTOR_SERVICE),
        ("ValidatingWebhookConfiguration", installation.validating_webhook, VALIDATOR_SERVICE),
    ):
        found = await objects.get(Ref(_ADMISSION, kind, webhook))
        steps.append(webhook_step(kind, webhook, found, service, mesh.namespace))
    context = (
        f'Verify the health of OSM control plane "{mesh.mesh}" in namespace "{mesh.namespace}"'
    )
    return together(context, steps)


def _pods_step(mesh: InstalledMesh, pods: list[Document]) -> Verified:
    context = f'Verify pods of the control plane in namespace "{mesh.namespace}"'
    waiting = [str(pod["metadata"]["name"]) for pod in pods if not is_ready(pod)]
    look = f"kubectl describe pods -n {mesh.namespace} -l app=osm-controller"
    if not pods:
        return verified(context, "There is no pod", f"See {look.replace('pods', 'deployment', 1)}")
    if waiting:
        return verified(context, f"Not ready: {', '.join(waiting)}", f"See {look}")
    return verified(context)


async def _probe_step(objects: Objects, pod: Document, path: str) -> Verified:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    context = f'Verify that pod "{namespace}/{name}" answers at /{path}'
    async with forwarded(objects.server, PodPort(namespace, name, HTTP_PORT)) as forward:
        transport = httpx2.AsyncHTTPTransport(uds=str(forward.socket))
        async with httpx2.AsyncClient(transport=transport, timeout=_LIMIT_S) as client:
            try:
                answer = await client.get(f"http://localhost/{path}")
            except httpx2.TransportError as error:
                reason = f"Its port {HTTP_PORT} cannot be reached: {forward.problem or error}"
                return unknown(context, reason, "Forwarding needs the right to pods/portforward")
    if answer.status_code == 200:
        return verified(context)
    return verified(context, f"{answer.status_code}: {answer.text.strip()[:300]}", "See its log")


def service_step(
    name: str, found: Document | None, pods: list[Document], namespace: str
) -> Verified:
    """Whether a Service is there, and leads to the control plane."""
    context = f'Verify Service "{namespace}/{name}"'
    if found is None:
        return verified(context, "There is none", "`osm mesh upgrade` makes it anew")
    selector = (found.get("spec") or {}).get("selector") or {}
    chosen = [
        pod
        for pod in pods
        if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
    if not any(map(is_ready, chosen)):
        return verified(
            context, "No ready pod stands behind it", "Compare its selector with the pods' labels"
        )
    return verified(context)


def webhook_step(
    kind: str, name: str, found: Document | None, service: str, namespace: str
) -> Verified:
    """Whether a webhook configuration is there, and calls the control plane with its certificate."""
    context = f'Verify {kind} "{name}"'
    if found is None:
        return verified(context, "There is none", "`osm mesh upgrade` makes it anew")
    for webhook in found.get("webhooks") or ():
        config = webhook.get("clientConfig") or {}
        called = config.get("service") or {}
        if (called.get("namespace"), called.get("name")) != (namespace, service):
            where = f"{called.get('namespace')}/{called.get('name')}"
            problem = f"It calls the service {where}, and not {namespace}/{service}"
            return verified(context, problem, "`osm mesh upgrade` mends it")
        if not config.get("caBundle"):
            problem = "It has no caBundle, so that the API server trusts no answer"
            return verified(context, problem, "The leader writes it: see its log")
    return verified(context)
