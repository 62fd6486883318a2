"""Namespaces and pods of an old mesh: who is in it, and what of them is special."""

from collections import Counter
from collections.abc import Iterator, Sequence

from osm.core.api.mesh_keys import (
    DOMAIN,
    IGNORE,
    INJECTION,
    METRICS,
    MONITORED_BY,
    SWITCH,
    TAKEN_OVER_BY,
)
from osm.core.inject.former import FORMER_CONTAINER, FORMER_VOLUME
from osm.core.migrate.documents import (
    Document,
    annotation,
    items,
    name,
    namespace,
    of_kind,
    part,
    text,
    title,
)
from osm.core.migrate.installation import Former
from osm.core.migrate.report import Entry, Severity

_HEALTH_CHECK = "osm-healthcheck"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_EXCLUSIONS = (
    "outbound-port-exclusion-list",
    "inbound-port-exclusion-list",
    "outbound-ip-range-exclusion-list",
    "outbound-ip-range-inclusion-list",
)


def namespaces_of(mesh: str, documents: Sequence[Document]) -> tuple[str, ...]:
    """The namespaces of a mesh."""
    found = of_kind(documents, "Namespace", "")
    return tuple(
        sorted(name(n) for n in found if text(n, "metadata", "labels", MONITORED_BY) == mesh)
    )


def served_namespaces(mesh: str, documents: Sequence[Document]) -> tuple[str, ...]:
    """Those of them that are not ignored, or only because they were taken over."""
    found = {
        name(each): part(each, "metadata", "labels") for each in of_kind(documents, "Namespace", "")
    }
    return tuple(
        each
        for each in namespaces_of(mesh, documents)
        if IGNORE not in found[each] or TAKEN_OVER_BY in found[each]
    )


def judge_workloads(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """All namespaces of the mesh, and their pods."""
    mine = namespaces_of(former.mesh, documents)
    for space in of_kind(documents, "Namespace", ""):
        if name(space) in mine:
            yield from _judge_namespace(space)
    pods = [pod for pod in of_kind(documents, "Pod", "") if namespace(pod) in mine]
    counts = Counter(namespace(pod) for pod in pods if is_injected(pod))
    for place, count in sorted(counts.items()):
        yield Entry(
            Severity.ACTION,
            "old-proxies",
            f"Namespace {place}",
            "",
            "OSM's proxy, which belongs to OSM's control plane, is in "
            + ("1 pod" if count == 1 else f"{count} pods"),
            "A pod gets the new one when it is started anew; the plan says when.",
        )
    for pod in pods:
        yield from _judge_pod(pod)


def is_injected(pod: Document) -> bool:
    """Whether it has OSM's own proxy."""
    containers = {text(each, "name") for each in items(pod, "spec", "containers")}
    volumes = {text(each, "name") for each in items(pod, "spec", "volumes")}
    return FORMER_CONTAINER in containers and FORMER_VOLUME in volumes


def _judge_namespace(space: Document) -> Iterator[Entry]:
    injection = annotation(space, INJECTION)
    if injection and injection.lower() not in SWITCH:
        yield Entry(
            Severity.ACTION,
            "injection-word",
            title(space),
            f"metadata.annotations[{INJECTION}]",
            f"{injection!r} is no word that is known: pods are refused, as with OSM",
            "Write enabled or disabled.",
        )
    labels = part(space, "metadata", "labels")
    if IGNORE in labels and TAKEN_OVER_BY not in labels:
        yield Entry(
            Severity.CARRY_OVER,
            "ignored-namespace",
            title(space),
            f"metadata.labels[{IGNORE}]",
            "its pods get no proxy, whatever the label's value is",
        )
    if SWITCH.get(annotation(space, METRICS).lower()):
        yield Entry(
            Severity.CARRY_OVER,
            "metrics",
            title(space),
            f"metadata.annotations[{METRICS}]",
            "Prometheus finds its proxies by the same annotations, port and path",
        )


def _judge_pod(pod: Document) -> Iterator[Entry]:
    if text(pod, "spec", "nodeSelector", "kubernetes.io/os") == "windows" or (
        text(pod, "spec", "os", "name") == "windows"
    ):
        yield Entry(
            Severity.UNSUPPORTED,
            "windows-pod",
            title(pod),
            "spec.nodeSelector",
            "there is no proxy for Windows: with injection enabled the pod is refused",
            f"Annotate it {INJECTION}: disabled, and let it in by IngressBackends.",
        )
    for key in _EXCLUSIONS:
        if said := annotation(pod, f"{DOMAIN}/{key}"):
            yield Entry(
                Severity.CARRY_OVER,
                "exclusions",
                title(pod),
                f"metadata.annotations[{DOMAIN}/{key}]",
                f"{said} goes around the proxy, as before",
            )
    yield from _judge_start(pod)


def _judge_start(pod: Document) -> Iterator[Entry]:
    owners = {text(each, "kind") for each in items(pod, "metadata", "ownerReferences")}
    if "Job" in owners and is_injected(pod):
        yield Entry(
            Severity.CHANGES,
            "job",
            title(pod),
            "",
            "on Kubernetes 1.29 and newer a Job ends although it has a proxy",
            "What ended the proxy by hand (POST /quitquitquit) is not needed any more, and does no harm.",
        )
    init = [text(each, "name") for each in items(pod, "spec", "initContainers")]
    if is_injected(pod) and [each for each in init if each != "osm-init"]:
        yield Entry(
            Severity.CHANGES,
            "init-containers",
            title(pod),
            "spec.initContainers",
            "on Kubernetes 1.29 and newer init containers are in the mesh: policies count for their calls",
            "Allow what they call, or exclude its ports.",
        )
    for container in items(pod, "spec", "containers"):
        yield from _judge_probes(pod, container)


def _judge_probes(pod: Document, container: Document) -> Iterator[Entry]:
    for probe in _PROBES:
        if part(container, probe, "grpc"):
            yield Entry(
                Severity.ACTION,
                "grpc-probe",
                title(pod),
                f"spec.containers[{text(container, 'name')}].{probe}",
                "the kubelet's gRPC has no certificate of the mesh: it fails, as with OSM",
                "Exclude its port by inbound-port-exclusion-list, or probe by HTTP or a command.",
            )
    if text(container, "name") == _HEALTH_CHECK:
        yield Entry(
            Severity.CHANGES,
            "tcp-probe",
            title(pod),
            f"spec.containers[{_HEALTH_CHECK}]",
            "the proxy itself answers probes by TCP: pods that are started anew do not have this container",
        )
