"""The steps of `osm verify ingress`: what an IngressBackend says, and whether it is in force."""

from collections.abc import Iterable, Sequence

import msgspec

from osm.cli.client import MeshClient
from osm.cli.columns import Raw, at, items, word
from osm.cli.verification import Verified, together, unknown, verified
from osm.cli.verify_steps import (
    behind_step,
    config_step,
    namespace_step,
    proxy_step,
    request_step,
)
from osm.cli.workloads import find_workloads
from osm.core.explain.explanation import Question


class IngressQuestion(msgspec.Struct, frozen=True):
    """Who calls whom by what. Services and the IngressBackend are `namespace/name`."""

    from_service: str
    to_pod: str
    to_service: str
    ingress_backend: str
    port: int
    protocol: str


def verify_ingress(client: MeshClient, asked: IngressQuestion) -> Verified:
    """Verify that a service outside of the mesh can call a pod of it."""
    view = client.view()
    pod = find_workloads(view, asked.to_pod, None)[0]
    backend = _object(client, "IngressBackend", asked.ingress_backend)
    steps = [
        namespace_step(client, pod.namespace),
        backend_step(backend, asked),
        source_step(backend, asked),
        proxy_step(view, pod),
        behind_step(pod, asked.to_service),
        config_step(client, view, pod),
        _request_step(client, asked),
    ]
    context = (
        f'Verify if service "{asked.from_service}" can access pod "{asked.to_pod}" for service '
        f'"{asked.to_service}"'
    )
    return together(context, steps)


def backend_step(backend: Raw | None, asked: IngressQuestion) -> Verified:
    """Whether the IngressBackend names the service with its port and protocol."""
    context = f'Verify if IngressBackend "{asked.ingress_backend}" has the backend'
    if backend is None:
        problem = f'There is no IngressBackend "{asked.ingress_backend}"'
        return verified(context, problem, "Give --ingress-backend its name")
    service = asked.to_service.partition("/")[2]
    named = [each for each in items(backend, "spec", "backends") if word(each, "name") == service]
    ports = [(word(each, "port", "number"), word(each, "port", "protocol")) for each in named]
    if (str(asked.port), asked.protocol) in ports:
        return verified(context)
    known = ", ".join(f"{number} ({protocol})" for number, protocol in ports) or "none"
    return verified(
        context,
        f"It has no backend {service} with port {asked.port} ({asked.protocol}); it has: {known}",
        "The number is that of the pods' port, not of the service's",
    )


def source_step(backend: Raw | None, asked: IngressQuestion) -> Verified:
    """Whether the IngressBackend names the calling service."""
    context = f'Verify if IngressBackend "{asked.ingress_backend}" has the source'
    if backend is None:
        return unknown(context, "There is no such IngressBackend")
    sources = [
        f"{word(each, 'namespace')}/{word(each, 'name')}"
        for each in items(backend, "spec", "sources")
        if word(each, "kind") == "Service"
    ]
    if asked.from_service in sources:
        return verified(context)
    problem = f"It has no source of kind Service {asked.from_service}"
    return verified(context, problem, f"It has: {', '.join(sources) or 'none'}")


def addresses(service: Raw | None, pods: Iterable[Raw]) -> Sequence[str]:
    """The addresses of the pods that a Service selects, sorted."""
    selector = at(service, "spec", "selector") or {}
    namespace = word(service, "metadata", "namespace")
    return sorted(
        word(pod, "status", "podIP")
        for pod in pods
        if selector
        and word(pod, "metadata", "namespace") == namespace
        and selector.items() <= (at(pod, "metadata", "labels") or {}).items()
        and word(pod, "status", "podIP")
    )


def _request_step(client: MeshClient, asked: IngressQuestion) -> Verified:
    pods = [each.raw for each in client.objects(kind="Pod")]
    found = addresses(_object(client, "Service", asked.from_service), pods)
    if not found:
        context = f'Verify policies from "{asked.from_service}"'
        return unknown(context, "The service has no pod with an address that the mesh knows")
    namespace, _, name = asked.to_service.partition("/")
    return request_step(client, Question(found[0], f"{name}.{namespace}:{asked.port}", "GET", "/"))


def _object(client: MeshClient, kind: str, full_name: str) -> Raw | None:
    namespace, _, name = full_name.partition("/")
    found = client.objects(kind=kind, namespace=namespace)
    return next((each.raw for each in found if each.key.name == name), None)
