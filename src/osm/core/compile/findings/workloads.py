"""What is wrong with pods: once for what made them, however many there are."""

from collections.abc import Iterator

from osm.core.api.kubernetes import Pod
from osm.core.compile import codes
from osm.core.compile.findings.labels import unknown_keys
from osm.core.compile.findings.places import account_key, origin_of_pod
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.identity import Identity
from osm.core.model.mesh import WorkloadKey
from osm.core.model.origin import Finding, Severity
from osm.core.model.reserved import PROXY_CONTAINER, reserved_for

_ALWAYS_THERE = "default"
"""The service account that each namespace has."""


def _of_pod(tables: Tables, key: WorkloadKey, pod: Written[Pod]) -> tuple[Finding, ...] | None:
    if _is_plain(pod.object) or not is_meshed(tables, key[0]):
        return None
    return tuple(_oddities(pod.object, pod.where)) or None


def _is_plain(pod: Pod) -> bool:
    """Whether nothing can be said of a pod. There are many, and mostly this is so."""
    for given in (pod.metadata.labels, pod.metadata.annotations):
        for name in given:
            if "mesh" in name:
                return False
    for container in pod.spec.containers:
        for port in container.ports:
            if reserved_for(port.container_port) and container.name != PROXY_CONTAINER:
                return False
    return not pod.spec.host_network


def _oddities(pod: Pod, where: str) -> Iterator[Finding]:
    if pod.spec.host_network:
        yield Finding(
            codes.HOST_NETWORK,
            Severity.WARNING,
            origin_of_pod(pod, "spec.hostNetwork"),
            "a pod in its machine's own network gets no proxy on Kubernetes, and is not in the mesh",
            "Remove hostNetwork, or let the pod run in a namespace that is not in the mesh.",
            where,
        )
    for index, container in enumerate(pod.spec.containers):
        if container.name == PROXY_CONTAINER:
            continue
        for place, port in enumerate(container.ports):
            if use := reserved_for(port.container_port):
                field = f"spec.containers[{index}].ports[{place}].containerPort"
                yield Finding(
                    codes.RESERVED_PORT,
                    Severity.ERROR,
                    origin_of_pod(pod, field),
                    f"port {port.container_port} of a pod is its proxy's ({use}), so nobody reaches "
                    "a program there",
                    "Let the program listen on another port.",
                    where,
                )
    yield from unknown_keys("Pod", origin_of_pod(pod, "metadata"), pod.metadata, where)


def _of_account(
    tables: Tables, identity: Identity, workloads: tuple[WorkloadKey, ...]
) -> tuple[Finding, ...] | None:
    """Where no ServiceAccount is known at all, their owner keeps them somewhere else."""
    defined = tables.accounts_in.get(identity.namespace)
    if (
        defined is None
        or identity.service_account == _ALWAYS_THERE
        or account_key(identity) in defined
    ):
        return None
    makers = {
        origin_of_pod(tables.pods[key].object, "spec.serviceAccountName") for key in workloads
    }
    return tuple(
        Finding(
            codes.ACCOUNT,
            Severity.WARNING,
            maker,
            f"namespace {identity.namespace} has no ServiceAccount {identity.service_account!r}, so "
            "Kubernetes does not let these pods run",
            "Create it, or correct the name. It is the workload's identity: access rules name it.",
        )
        for maker in sorted(makers)
    )


STAGES: tuple[Stage, ...] = (
    Derive("pod_findings", "pods", _of_pod),
    Group("accounts_in", "service_accounts", lambda key, _: (key.namespace,)),
    Derive("account_findings", "workloads_of", _of_account),
)
