"""What tests do with pods: make them, wait for them, run commands in them."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import yaml
from tests.kubernetes.images import APPS
from tests.kubernetes.node import Node

from .waiting import eventually

READY_WITHIN_S = 90.0


async def apply(node: Node, text: str, namespace: str = "default") -> None:
    """Apply YAML; objects that name no namespace come into this one."""
    await node.kubectl("--namespace", namespace, "apply", "--filename=-", text=text)


async def ready(
    node: Node, namespace: str, selector: str, *, count: int = 1, within: float = READY_WITHIN_S
) -> list[dict[str, Any]]:
    """Wait until exactly `count` pods match a selector, and all are ready; returns them."""
    return await until_pods(node, namespace, selector, _is_ready, count=count, within=within)


async def until_pods(
    node: Node,
    namespace: str,
    selector: str,
    holds: Callable[[dict[str, Any]], bool],
    *,
    count: int = 1,
    within: float = READY_WITHIN_S,
) -> list[dict[str, Any]]:
    """Wait until a condition holds of each pod, and there are so many; returns them."""
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(within):
            while True:
                found = await pods(node, namespace, selector)
                if len(found) == count and all(holds(pod) for pod in found):
                    return found
                await asyncio.sleep(0.3)
    except TimeoutError:
        phases = [f"{pod['metadata']['name']} {pod['status'].get('phase')}" for pod in found]
        raise AssertionError(f"{selector}: not within {within} s; there are {phases}") from None


async def pods(node: Node, namespace: str, selector: str) -> list[dict[str, Any]]:
    """All pods that match and are not being deleted."""
    text = await node.kubectl("--namespace", namespace, "get", "pods", "-l", selector, "-o", "json")
    return [pod for pod in json.loads(text)["items"] if "deletionTimestamp" not in pod["metadata"]]


async def service_address(node: Node, namespace: str, service: str) -> str:
    path = "jsonpath={.spec.clusterIP}"
    return await node.kubectl("--namespace", namespace, "get", "service", service, "-o", path)


async def reachable(
    node: Node, namespace: str, service: str, port: int, *, within: float = READY_WITHIN_S
) -> None:
    """Wait until a Service takes connections: its pods are ready a moment before kube-proxy knows."""
    address = await service_address(node, namespace, service)

    def connect() -> bool:
        try:
            socket.create_connection((address, port), 2).close()
        except OSError:
            return False
        return True

    what = f"{service}:{port} takes connections"
    await eventually(lambda: node.call_in_network(connect), what, within=within)


async def run_in_pod(
    node: Node, namespace: str, pod: str, *command: str, container: str = ""
) -> str:
    """Run a command in a pod, or `deployment/NAME`; raises `RuntimeError` with what it says if it fails."""
    chosen = ("--container", container) if container else ()
    return await node.kubectl("--namespace", namespace, "exec", pod, *chosen, "--", *command)


async def logs(node: Node, namespace: str, pod: str, *, container: str = "") -> str:
    chosen = ("--container", container) if container else ("--all-containers",)
    return await node.kubectl("--namespace", namespace, "logs", pod, *chosen)


def app(name: str, *command: str, port: int = 0, replicas: int = 1, **spec: object) -> str:
    """YAML of a Deployment `name` of the test applications' image with the label `app`; with a port
    also a Service of that name, and a readiness probe of the port. `spec` is added to the pod's.
    """
    container: dict[str, object] = {"name": "app", "image": APPS, "command": [*command]}
    if port:
        container["ports"] = [{"containerPort": port}]
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    labels = {"app": name}
    pod = {"terminationGracePeriodSeconds": 2, "containers": [container], **spec}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": port}]},
    }
    return yaml.safe_dump_all([deployment, service] if port else [deployment])


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
