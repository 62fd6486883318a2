"""A StatusWriter that is fed from a real API server by a real source, with the findings of a test."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.kubernetes.control_plane import ControlPlane

from osm.core.api.crd import custom_resource_definitions
from osm.core.model.groups import SPLIT
from osm.core.model.origin import Finding, Origin, Severity
from osm.core.status.sorting import findings_by_object
from osm.kubernetes.api_server import ApiServer
from osm.kubernetes.status import SAME_OFTEN, StatusWriter

from .keeping import collect_handshakes
from .watching import watching

SPLITS = f"{SPLIT}/v1alpha4"


async def define(cluster: ControlPlane) -> None:
    """All our CRDs, ready."""
    crds = custom_resource_definitions()
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": crds})
    await cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
    names = [f"crd/{crd['metadata']['name']}" for crd in crds]  # type: ignore[index]
    await cluster.kubectl("wait", "--for=condition=Established", *names)


def split(name: str = "split", *, service: str = "cart", backend: str = "cart-v1") -> str:
    spec = {"service": service, "backends": [{"service": backend, "weight": 100}]}
    metadata = {"name": name, "labels": {"keep": "me"}}
    kind = "TrafficSplit"
    return json.dumps({"apiVersion": SPLITS, "kind": kind, "metadata": metadata, "spec": spec})


async def apply(cluster: ControlPlane, namespace: str, *objects: str) -> None:
    text = "\n---\n".join(objects)
    await cluster.kubectl("apply", "-n", namespace, "-f", "-", text=text)


async def read(cluster: ControlPlane, namespace: str, name: str = "split") -> dict[str, Any]:
    text = await cluster.kubectl("get", "trafficsplit", name, "-n", namespace, "-o", "json")
    found: dict[str, Any] = json.loads(text)
    return found


def said(found: Mapping[str, Any]) -> dict[str, str]:
    """An object's conditions in short."""
    conditions = found.get("status", {}).get("conditions", ())
    return {each["type"]: f"{each['status']} {each['reason']}" for each in conditions}


def finding(
    namespace: str,
    name: str = "split",
    code: str = "OSM133",
    severity: Severity = Severity.ERROR,
    message: str = "all weights are 0",
) -> Finding:
    origin = Origin("TrafficSplit", namespace, name, "spec.backends", SPLIT)
    return Finding(code, severity, origin, message)


class Writing:
    """What a test says, and the writer under test. All is handed on twenty times in a second."""

    def __init__(self, writer: StatusWriter) -> None:
        self.writer = writer
        self.findings: list[Finding] = []


@asynccontextmanager
async def writing(
    kubeconfig: Path,
    namespace: str,
    *,
    kinds: tuple[str, ...] = ("trafficsplits",),
    same_often: tuple[int, float] = SAME_OFTEN,
) -> AsyncIterator[Writing]:
    async with watching(kubeconfig, kinds) as copy:
        server = ApiServer.open(kubeconfig)
        running = Writing(StatusWriter(server, server.request, Random(1), same_often=same_often))

        async def look() -> None:
            while True:
                if copy.changes:
                    found = findings_by_object(running.findings, copy.objects, "osm-system")
                    running.writer.want(copy.objects, found, {namespace})
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(look()), asyncio.create_task(running.writer.run())]
        try:
            yield running
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.close()
            collect_handshakes()
