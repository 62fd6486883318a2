"""Requests at a steady rate from a pod, and what came of them."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import yaml
from tests.kubernetes.images import APPS
from tests.kubernetes.node import Node

from .pods import apply, logs, ready


class Counts(msgspec.Struct, frozen=True):
    """Of requests that have ended. What failed is counted by its status or its error."""

    sent: int
    ok: int
    failed: Mapping[str, int]
    slowest_s: float


class Load:
    """A pod that sends. It does so also while the control plane is away."""

    def __init__(self, node: Node, namespace: str, name: str) -> None:
        self._node, self._namespace, self.name = node, namespace, name

    async def counts(self) -> Counts:
        """What it has counted so far; a second old at most."""
        text = await logs(self._node, self._namespace, self.name, container="load")
        lines = [line for line in text.splitlines() if line.startswith("{")]
        return msgspec.convert(json.loads(lines[-1]), Counts) if lines else Counts(0, 0, {}, 0)

    async def failures(self) -> str:
        """When what failed, one line each."""
        text = await logs(self._node, self._namespace, self.name, container="load")
        return "\n".join(line for line in text.splitlines() if not line.startswith("{"))

    async def refused(self) -> str:
        """What its proxy says of requests that were answered with 503, the last ones."""
        text = await logs(self._node, self._namespace, self.name, container="envoy")
        return "\n".join(
            [line for line in text.splitlines() if '"503"' in line or ":503," in line][-10:]
        )


@asynccontextmanager
async def load(
    node: Node,
    namespace: str,
    url: str,
    *,
    rate: float = 50,
    labels: Mapping[str, str] | None = None,
) -> AsyncIterator[Load]:
    """Send `rate` requests a second to a URL, from a pod with these labels, which is in the mesh if
    its namespace is. The first ones are sent before anybody can be sure that they succeed.
    """
    name = f"load-{uuid.uuid4().hex[:6]}"
    container = {
        "name": "load",
        "image": APPS,
        "command": ["python", "-m", "steady_load", url, str(rate)],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"load": name, **(labels or {})}},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": [container]},
    }
    await apply(node, yaml.safe_dump(pod), namespace)
    await ready(node, namespace, f"load={name}")
    try:
        yield Load(node, namespace, name)
    finally:
        await node.kubectl("--namespace", namespace, "delete", "pod", name, "--wait=false")
