"""Pods that the scenarios of one file share: clients and servers of the mesh, and two beyond it.

| pod | account | is |
|---|---|---|
| `caller` | `caller` | a client with a Service of its own |
| `other` | `other` | a client without one, and a server where a test makes it one |
| `v1`, `v2` | `web` | servers; Service `web` means both, `v1`, `v2` and `headless` one of them or both |
| `outside`, `beyond` | | in a namespace that is not in the mesh; clients and servers |

All are puppets (`osm.testing.puppet`), which run what a test sends them, and serve HTTP on 8000, TCP echo
on 9000, a greeting on 9001 and gRPC on 9002.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.kubernetes.images import APPS
from tests.kubernetes.node import Node

from .mesh import Mesh
from .pods import apply, ready, run_in_pod
from .waiting import eventually

Document = Mapping[str, Any]
HTTP, ECHO, GREETING, GRPC, SECURE = 8000, 9000, 9001, 9002, 9003
PUPPET = (
    *("python", "-m", "osm.testing.puppet", str(HTTP), "--echo", str(ECHO)),
    *("--banner", str(GREETING), "--grpc", str(GRPC)),
)
OPEN = {"enablePermissiveTrafficPolicyMode": True, "enableEgress": True}
CLOSED = {"enablePermissiveTrafficPolicyMode": False, "enableEgress": False}
PORTS = (
    (80, HTTP, "http"),
    (8080, HTTP, "http"),
    (ECHO, ECHO, "tcp"),
    (GREETING, GREETING, "tcp-server-first"),
    (GRPC, GRPC, "grpc"),
    (SECURE, SECURE, "tcp"),
)
"""Port of a Service, port of its pods, and what they speak."""
APPLIES_WITHIN_S = 20.0
"""What was written reaches the proxies in less than a second; this machine has others to serve."""


class Cast:
    """The pods, and the policies that a test has put."""

    def __init__(self, mesh: Mesh, namespace: str, outer: str) -> None:
        self.mesh = mesh
        self.node: Node = mesh.node
        self.namespace = namespace
        self.outer = outer
        """The namespace that is not in the mesh."""
        self.addresses: dict[str, str] = {}
        """Of each pod."""
        self._put: list[Document] = []

    async def run(self, name: str, program: str) -> Any:
        """Run Python in a pod of the cast, with `osm.testing.calls`; gives its `result`."""
        return await run_puppet(self.node, self._where(name), f"deployment/{name}", program)

    async def gives(self, name: str, program: str, expected: object) -> None:
        """Wait until a program of `run` has this result."""
        seen: object = None

        async def holds() -> bool:
            nonlocal seen
            seen = await self.run(name, program)
            return seen == expected

        try:
            await eventually(holds, "", within=APPLIES_WITHIN_S)
        except AssertionError:
            raise AssertionError(f"{name}: {program} gives {seen}, not {expected}") from None

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until what was written is in force."""
        await eventually(holds, what, within=APPLIES_WITHIN_S)

    async def status(
        self, name: str, host: str, port: int = 80, path: str = "/", method: str = "GET"
    ) -> int:
        """Of the answer to one request; 0 without an answer."""
        program = f"result = ask({host!r}, {port}, {method!r}, {path!r})[0]"
        return int(await self.run(name, program))

    async def answers(
        self, name: str, host: str, port: int = 80, path: str = "/", *, status: int = 200
    ) -> None:
        """Wait until a request is answered so."""
        await self.gives(name, f"result = ask({host!r}, {port}, 'GET', {path!r})[0]", status)

    async def talk(self, name: str, host: str, port: int, data: str = "ping") -> str:
        """What comes back over TCP; `closed`, `refused` or `silent` when nothing does."""
        outcome, text = await self.run(name, f"result = talk({host!r}, {port}, {data!r})")
        return str(text if outcome == "answered" else outcome)

    async def echoes(self, name: str, host: str, port: int = ECHO) -> None:
        """Wait until a connection is echoed."""
        program = f"result = talk({host!r}, {port})"
        await self.gives(name, program, ["answered", "ping"])

    async def is_closed(self, name: str, host: str, port: int = ECHO) -> None:
        """Wait until a connection brings nothing."""
        program = f"result = talk({host!r}, {port})[0] in ('closed', 'refused')"
        await self.gives(name, program, expected=True)

    async def count(self, name: str, host: str, port: int = 80, *, requests: int) -> dict[str, int]:
        """Who answered how many requests; pods by the name of their Deployment."""
        program = f"result = count_answers({host!r}, {port}, '/', requests={requests})"
        found: dict[str, int] = await self.run(name, program)
        return {name.partition("-")[0]: times for name, times in found.items()}

    async def put(self, *objects: Document) -> None:
        """Write policies; they are gone after the test."""
        documents = [_without_time(each) for each in objects]
        self._put += documents
        await apply(self.node, written(*documents), self.namespace)

    async def drop(self) -> None:
        """Delete the policies that have been put."""
        documents, self._put = self._put, []
        if documents:
            delete = ("delete", "--ignore-not-found", "--wait=false", "-f", "-")
            namespace = ("--namespace", self.namespace)
            await self.node.kubectl(*namespace, *delete, text=written(*documents))

    def _where(self, name: str) -> str:
        return self.outer if name in ("outside", "beyond") else self.namespace


async def run_puppet(
    node: Node, namespace: str, pod: str, program: str, *, address: str = "127.0.0.1"
) -> Any:
    """Run Python in a puppet's pod, which listens at this address; gives its `result`."""
    ask = ("curl", "-s", "--data-binary", program, f"http://{address}:{HTTP}/run")
    return json.loads(await run_in_pod(node, namespace, pod, *ask, container="app"))


async def configured(mesh: Mesh, spec: Document) -> None:
    """Change MeshConfig, and wait until the control plane has read it: pods are created by it."""
    await mesh.patch_config(spec)
    get = ("-n", mesh.namespace, "get", "meshconfig", "osm-mesh-config", "-o", "json")

    async def is_read() -> bool:
        config = json.loads(await mesh.node.kubectl(*get))
        seen = config.get("status", {}).get("observedGeneration")
        return bool(seen == config["metadata"]["generation"])

    await eventually(is_read, "the control plane has read MeshConfig", within=APPLIES_WITHIN_S)


def puppet(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: object,
) -> Document:
    """A Deployment of one puppet. `spec` is added to the pod's."""
    both = {"app": name, **(labels or {})}
    container = {
        "name": "app",
        "image": APPS,
        "command": PUPPET,
        "readinessProbe": {"httpGet": {"path": "/", "port": HTTP}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": both, "annotations": annotations or {}},
                "spec": {"terminationGracePeriodSeconds": 2, "containers": [container], **spec},
            },
        },
    }


def account(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def service(name: str, *, headless: bool = False, **selector: str) -> Document:
    """A Service with `PORTS` for the pods with these labels; a headless one leads to the pods' own."""
    ports = [
        {"name": f"p{port}", "port": port, "targetPort": target, "appProtocol": protocol}
        for port, target, protocol in PORTS
        if not headless or port == target
    ]
    if headless:
        ports.append({"name": "web", "port": HTTP, "targetPort": HTTP, "appProtocol": "http"})
    spec = {"selector": selector, "ports": ports, **({"clusterIP": "None"} if headless else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def gathered(mesh: Mesh, namespace: str, outer: str) -> Cast:
    """All pods, ready; the namespaces are there."""
    cast = Cast(mesh, namespace, outer)
    inside = [
        *(account(name) for name in ("caller", "other", "web")),
        *(puppet(name, serviceAccountName=name) for name in ("caller", "other")),
        *(puppet(n, labels={"part": "server"}, serviceAccountName="web") for n in ("v1", "v2")),
        service("caller", app="caller"),
        service("web", part="server"),
        service("headless", headless=True, part="server"),
        service("v1", app="v1"),
        service("alias", app="v1"),
        service("v2", app="v2"),
    ]
    await apply(mesh.node, written(*inside), namespace)
    await apply(mesh.node, written(puppet("outside"), puppet("beyond")), outer)
    names = {namespace: ("caller", "other", "v1", "v2"), outer: ("outside", "beyond")}
    for where, there in names.items():
        for name, found in zip(
            there,
            await asyncio.gather(*(ready(mesh.node, where, f"app={each}") for each in there)),
            strict=True,
        ):
            cast.addresses[name] = found[0]["status"]["podIP"]
    return cast


def written(*documents: Document) -> str:
    """As YAML for kubectl."""
    return "\n---\n".join(json.dumps(each) for each in documents) + "\n"


def _without_time(document: Document) -> Document:
    """The API server says when an object was created."""
    metadata = {k: v for k, v in document["metadata"].items() if k != "creationTimestamp"}
    return {**document, "metadata": metadata}
