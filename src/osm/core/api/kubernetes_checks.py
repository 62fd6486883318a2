"""What one Kubernetes object must fulfil beyond its shape, where the mesh depends on it."""

from collections import Counter
from collections.abc import Iterator

from osm.core.api import codes
from osm.core.api.exclusions import exclusion_problems
from osm.core.api.kubernetes import Deployment, Pod, PodSpec, Probe, Service, StatefulSet
from osm.core.api.problem import Path, Problem
from osm.core.api.scalars import check_service_name
from osm.core.model.origin import Severity


def service_problems(service: Service) -> Iterator[Problem]:
    """Ports can be told apart, and there are some."""
    if complaint := check_service_name(service.metadata.name):
        yield complaint.at(("metadata", "name"))
    spec = service.spec
    path: Path = ("spec", "ports")
    if not spec.ports and spec.type != "ExternalName" and spec.cluster_ip != "None":
        yield Problem(path, codes.EMPTY, "a Service needs at least one port", "Add `ports:`.")
    if spec.type == "ExternalName" and not spec.external_name:
        yield Problem(
            ("spec", "externalName"),
            codes.MISSING,
            "a Service of type ExternalName needs `externalName`",
            "Name the host that it stands for.",
        )
    names = Counter(port.name for port in spec.ports)
    numbers = Counter((port.port, port.protocol) for port in spec.ports)
    for index, port in enumerate(spec.ports):
        if not port.name and len(spec.ports) > 1:
            yield Problem(
                (*path, index, "name"),
                codes.MISSING,
                "a Service with several ports must name each of them",
                f"For instance `name: http-{port.port}`.",
            )
        elif names[port.name] > 1:
            yield Problem(
                (*path, index, "name"), codes.TWICE, f"several ports are named {port.name!r}"
            )
        if numbers[port.port, port.protocol] > 1:
            yield Problem(
                (*path, index, "port"),
                codes.TWICE,
                f"port {port.port}/{port.protocol} stands here more than once",
            )


def workload_problems(workload: Deployment | StatefulSet) -> Iterator[Problem]:
    """The selector fits the template, and the template's pods can run."""
    selected, template = workload.spec.selector.match_labels, workload.spec.template
    for name, value in selected.items():
        if template.metadata.labels.get(name) != value:
            yield Problem(
                ("spec", "selector", "matchLabels", name),
                codes.SELECTOR,
                f"the selector wants {name}={value}, and the template has no such label",
                f"Add `{name}: {value}` to spec.template.metadata.labels.",
            )
    annotations: Path = ("spec", "template", "metadata", "annotations")
    yield from exclusion_problems(template.metadata.annotations, annotations)
    yield from _pod_problems(template.spec, ("spec", "template", "spec"))


def pod_problems(pod: Pod) -> Iterator[Problem]:
    """The pod can run."""
    yield from exclusion_problems(pod.metadata.annotations, ("metadata", "annotations"))
    yield from _pod_problems(pod.spec, ("spec",))


def _pod_problems(spec: PodSpec, path: Path) -> Iterator[Problem]:
    if not spec.containers:
        yield Problem((*path, "containers"), codes.EMPTY, "a pod needs at least one container")
    names = Counter(container.name for container in (*spec.containers, *spec.init_containers))
    for field, containers in (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
    ):
        for index, container in enumerate(containers):
            here = (*path, field, index)
            if names[container.name] > 1:
                yield Problem(
                    (*here, "name"), codes.TWICE, f"several containers are named {container.name!r}"
                )
            for variable in range(len(container.env)):
                entry = container.env[variable]
                if entry.value and entry.value_from is not None:
                    yield Problem(
                        (*here, "env", variable, "valueFrom"),
                        codes.CONTRADICTION,
                        f"variable {entry.name} has both `value` and `valueFrom`",
                        "Keep one of them.",
                    )
            for name, probe in (
                ("readinessProbe", container.readiness_probe),
                ("livenessProbe", container.liveness_probe),
                ("startupProbe", container.startup_probe),
            ):
                if probe is not None:
                    yield from _probe_problems(probe, (*here, name))


def _probe_problems(probe: Probe, path: Path) -> Iterator[Problem]:
    actions = [
        a for a in (probe.http_get, probe.tcp_socket, probe.exec, probe.grpc) if a is not None
    ]
    if len(actions) != 1:
        yield Problem(
            path,
            codes.PROBE,
            "a probe has exactly one of httpGet, tcpSocket, exec and grpc, "
            + ("and this one has none" if not actions else f"and this one has {len(actions)}"),
        )
    if probe.exec is not None and not probe.exec.command:
        yield Problem(
            (*path, "exec", "command"),
            codes.EMPTY,
            "the probe's command is empty, so it always fails",
            severity=Severity.WARNING,
        )
