"""The pods that manifests ask for: Deployments and StatefulSets by their replicas, and bare Pods.

Pods are named `<name>-<n>`, n from 0, whether a Deployment or a StatefulSet makes them: names to
type, and the same at each start. So a Deployment and a StatefulSet of one name cannot both run
here: the second is refused with a finding.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from osm.core.api.kubernetes import (
    Container,
    Deployment,
    EnvVar,
    Pod,
    PodSpec,
    PodStatus,
    Service,
    StatefulSet,
)
from osm.core.api.metadata import Metadata, OwnerReference
from osm.core.compile import local_annotations
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.model.redirection import Redirection
from osm.local import variables
from osm.local.explicit import Told

Maker = Deployment | StatefulSet | Pod

TEMPLATE_HASH = local_annotations.TEMPLATE_HASH
_ALL = Redirection()
NAME_TAKEN = "OSM401"
NO_COMMAND = "OSM402"
TOO_MANY = "OSM403"

MOST_REPLICAS = 100
"""Of one object: each is a program and a proxy of this machine."""


class Wanted(msgspec.Struct, frozen=True):
    """A pod to run, before it has an address."""

    metadata: Metadata
    spec: PodSpec
    origin: Origin

    @property
    def name(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


def wanted_pods(makers: Iterable[Maker]) -> tuple[tuple[Wanted, ...], tuple[Finding, ...]]:
    """Every pod that the objects ask for and that can run here, in the order of their names."""
    wanted: dict[str, Wanted] = {}
    findings: list[Finding] = []
    for maker in sorted(makers, key=_order):
        if not isinstance(maker, Pod) and maker.spec.replicas > MOST_REPLICAS:
            findings.append(_too_many(maker))
        for pod in _pods_of(maker):
            problem = _problem(pod, wanted)
            if problem is None:
                wanted[pod.name] = pod
            else:
                findings.append(problem)
    return tuple(wanted[name] for name in sorted(wanted)), tuple(dict.fromkeys(findings))


def complete(
    wanted: Wanted,
    address: str,
    services: Sequence[Service],
    told: Told | None = None,
    redirection: Redirection = _ALL,
) -> Pod:
    """Give a pod its address, and write out its commands and environment.

    `told` is what a program must know when connections are not redirected. What goes around the proxy
    counts at the next start, and starts nothing anew.
    """
    annotations = {
        **wanted.metadata.annotations,
        local_annotations.APP_IP: address if told else "127.0.0.1",
        local_annotations.CAPTURE: told.capture if told else "redirected",
        TEMPLATE_HASH: _hash(wanted, address),
    }
    if redirection != _ALL:
        annotations[local_annotations.REDIRECTION] = msgspec.json.encode(redirection).decode()
    pod = Pod(
        msgspec.structs.replace(wanted.metadata, annotations=annotations),
        wanted.spec,
        PodStatus(pod_ip=address),
    )
    given = variables.of_services(services, pod.metadata.namespace)
    given["HOSTNAME"] = pod.spec.hostname or pod.metadata.name
    fixed = told.environment if told else {}
    given.update(fixed)
    spec = msgspec.structs.replace(
        pod.spec,
        containers=tuple(_written_out(each, given, fixed, pod) for each in pod.spec.containers),
        init_containers=tuple(
            _written_out(each, given, fixed, pod) for each in pod.spec.init_containers
        ),
    )
    return msgspec.structs.replace(pod, spec=spec)


def _order(maker: Maker) -> tuple[int, str, str]:
    kinds = (Deployment, StatefulSet, Pod)
    return kinds.index(type(maker)), maker.metadata.namespace, maker.metadata.name


def _pods_of(maker: Maker) -> Iterable[Wanted]:
    name, namespace = maker.metadata.name, maker.metadata.namespace
    kind = type(maker).__name__
    if isinstance(maker, Pod):
        yield Wanted(
            maker.metadata, _with_defaults(maker.spec), Origin("Pod", namespace, name, "spec")
        )
        return
    template = maker.spec.template
    numbered = _with_defaults(template.spec)
    for number in range(min(maker.spec.replicas, MOST_REPLICAS)):
        spec = numbered
        if isinstance(maker, StatefulSet):
            spec = msgspec.structs.replace(
                spec, hostname=f"{name}-{number}", subdomain=maker.spec.service_name
            )
        metadata = Metadata(
            name=f"{name}-{number}",
            namespace=namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            owner_references=(OwnerReference(kind=kind, name=name, controller=True),),
        )
        origin = Origin(kind, namespace, name, "spec.template.spec", group="apps")
        yield Wanted(metadata, spec, origin)


def _with_defaults(spec: PodSpec) -> PodSpec:
    account = spec.service_account_name or "default"
    return msgspec.structs.replace(spec, service_account_name=account)


def _too_many(maker: Deployment | StatefulSet) -> Finding:
    meta, kind = maker.metadata, type(maker).__name__
    return Finding(
        TOO_MANY,
        Severity.WARNING,
        Origin(kind, meta.namespace, meta.name, "spec.replicas", group="apps"),
        f"one machine runs at most {MOST_REPLICAS} pods of one {kind}, so the rest is left out",
        f"Ask for {MOST_REPLICAS} or fewer.",
    )


def _problem(pod: Wanted, others: Mapping[str, Wanted]) -> Finding | None:
    if other := others.get(pod.name):
        return Finding(
            NAME_TAKEN,
            Severity.ERROR,
            pod.origin,
            f"its pod would be named {pod.metadata.name}, as one of "
            f"{other.origin.kind} {other.origin.name}",
            "Give one of the two another name.",
        )
    for place, containers in (
        ("initContainers", pod.spec.init_containers),
        ("containers", pod.spec.containers),
    ):
        for index, container in enumerate(containers):
            if not container.command:
                return Finding(
                    NO_COMMAND,
                    Severity.ERROR,
                    msgspec.structs.replace(
                        pod.origin, field=f"{pod.origin.field}.{place}[{index}].command"
                    ),
                    f"container {container.name} has no command: on one machine the mesh runs "
                    "programs, not images",
                    "Write the program and its arguments as `command`.",
                )
    return None


def _written_out(
    container: Container, given: Mapping[str, str], fixed: Mapping[str, str], pod: Pod
) -> Container:
    resolved = {**variables.resolve(container.env, given, pod), **fixed}
    return msgspec.structs.replace(
        container,
        command=tuple(variables.expand(part, resolved) for part in container.command),
        args=tuple(variables.expand(part, resolved) for part in container.args),
        working_dir=variables.expand(container.working_dir, resolved),
        env=tuple(EnvVar(name, value) for name, value in resolved.items()),
    )


def _hash(wanted: Wanted, address: str) -> str:
    written = msgspec.json.encode((wanted.metadata, wanted.spec, address), order="deterministic")
    return blake2b(written, digest_size=5).hexdigest()
