"""Workloads as the Pods that kubectl users expect: in tables, and as objects."""

from osm.cli.encode import Plain, plain
from osm.core.explain.view import MeshView, WorkloadView
from osm.core.model.workload import ProxyKind

HEADERS = ("ready", "status", "restarts")
WIDE_HEADERS = ("service account", "services", "page", "reason")

_STATUS = {
    "starting": "ContainerCreating",
    "ready": "Running",
    "unready": "Running",
    "restarting": "CrashLoopBackOff",
    "failed": "Error",
}
_PHASES = {"ready": "Running", "unready": "Running", "restarting": "Running", "failed": "Failed"}


def cells(workload: WorkloadView, view: MeshView) -> tuple[str, ...]:
    """Write READY (of the program and its proxy, if it has one), STATUS and RESTARTS."""
    programs = 1 if workload.proxy == ProxyKind.NONE else 2
    ready = (workload.phase == "ready") + _has_connected_proxy(workload, view)
    status = _STATUS.get(workload.phase, workload.phase)
    return f"{ready}/{programs}", status, str(workload.restarts)


def wide_cells(workload: WorkloadView) -> tuple[str, ...]:
    """Write the columns of `-o wide`."""
    services = ",".join(workload.services)
    return workload.service_account, services, workload.web, workload.reason


def _has_connected_proxy(workload: WorkloadView, view: MeshView) -> bool:
    return any(
        proxy.connected
        for proxy in view.proxies
        if (proxy.namespace, proxy.name) == (workload.namespace, workload.name)
    )


def pod(workload: WorkloadView, view: MeshView) -> dict[str, Plain]:
    """Write a workload as a Pod: what of a Pod exists here, and nothing invented."""
    ready = workload.phase == "ready"
    program: dict[str, Plain] = {
        "name": workload.app,
        "ready": ready,
        "restartCount": workload.restarts,
    }
    proxy: dict[str, Plain] = {"name": "envoy", "ready": _has_connected_proxy(workload, view)}
    status: dict[str, Plain] = {
        "phase": _PHASES.get(workload.phase, "Pending"),
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [program] if workload.proxy == ProxyKind.NONE else [program, proxy],
    }
    if workload.reason:
        status["reason"] = workload.reason
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": {"app": workload.app},
            "annotations": {
                "openservicemesh.io/identity": workload.identity,
                "openservicemesh.io/services": ",".join(workload.services),
            },
        },
        "spec": {"serviceAccountName": plain(workload.service_account)},
        "status": status,
    }
