"""The mesh of `bench.mesh_files` in an API server, and its changes as people and kubelets make them."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
import yaml

from bench.kubernetes.cluster import Cluster, Document
from bench.kubernetes.pods import injected, namespace_of
from bench.mesh import NAMESPACE
from bench.mesh_files import pod_text, service_text, split_text
from osm.core.model.identity import token_audience
from osm.kubernetes.messages import Object

AT_ONCE = 40
"""Requests that are on their way at a time while the mesh is made."""
LEASE = "node"
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
"""What kubelets say of pods: conditions are merged by their type."""

ANY_PATH = "/.*"
Patches = Mapping[str, Document]
"""By path."""


class ClusterObjects:
    """The mesh in a cluster. `versions` are those that each change led to, by when it was made."""

    def __init__(self, cluster: Cluster, services: int, replicas: int) -> None:
        self._cluster = cluster
        self.services = services
        self.replicas = replicas
        self.versions: dict[int, str] = {}
        self._newest = 0
        self._said: dict[str, Document] = {}
        """What each object is like, as far as we change it: the last patch."""
        for number in range(services):
            self._said.update(self._readiness(number, frozenset()))
            self._said.update(_rules(number, ANY_PATH, ""))

    # --- everything

    def write(self) -> None:
        """Make everything; returns when it is all there."""
        self._cluster.run(self._write())

    async def _write(self) -> None:
        namespace = namespace_of(self._cluster.installation)
        await self._send("POST", "/api/v1/namespaces", namespace)
        await self._send("POST", _path("Lease"), {"metadata": {"name": LEASE}})
        turn = asyncio.Semaphore(AT_ONCE)

        async def write_service(number: int) -> None:
            async with turn:
                await self._write_service(number)

        await asyncio.gather(*map(write_service, range(self.services)))

    async def _write_service(self, number: int) -> None:
        await self._send("POST", _path("ServiceAccount"), {"metadata": {"name": f"s{number}"}})
        for document in _documents(service_text(number, self.services)):
            document["spec"].pop("clusterIP", None)  # the API server gives one of its own range
            await self._send("POST", _path(document["kind"]), document)
        for replica in range(self.replicas):
            (pod,) = _documents(pod_text(number, replica))
            status = {"status": pod.pop("status")}
            whole = injected(pod, self._cluster.installation)
            await self._send("POST", _path("Pod"), whole)
            name = pod["metadata"]["name"]
            await self._send("PATCH", f"{_path('Pod', name)}/status", status, STRATEGIC)

    async def _send(self, method: str, path: str, body: object, content_type: str = JSON) -> bytes:
        server = self._cluster.server
        return await server.request(method, path, body=body, content_type=content_type)

    def tokens(self, pods: Iterable[tuple[str, str]]) -> dict[str, str]:
        """A token for each pod, as the kubelet asks for it; `pods` are account and name."""
        return self._cluster.run(self._tokens(pods))

    async def _tokens(self, pods: Iterable[tuple[str, str]]) -> dict[str, str]:
        turn = asyncio.Semaphore(AT_ONCE)
        audience = token_audience(self._cluster.installation.mesh)

        async def token(account: str, pod: str) -> tuple[str, str]:
            bound = {"apiVersion": "v1", "kind": "Pod", "name": pod}
            wanted = {"spec": {"audiences": [audience], "boundObjectRef": bound}}
            async with turn:
                path = f"{_path('ServiceAccount', account)}/token"
                answer = msgspec.json.decode(await self._send("POST", path, wanted))
            return pod, answer["status"]["token"]

        return dict(await asyncio.gather(*(token(*each) for each in pods)))

    # --- changes

    def set_endpoints(self, number: int, unready: frozenset[int]) -> int:
        return self._set(self._readiness(number, unready), STRATEGIC)

    def set_service(self, number: int, *, path: str = ANY_PATH, note: str = "") -> int:
        return self._set(_rules(number, path, note), MERGE)

    def set_split(self, number: int, other: int, weight: int) -> int:
        (split,) = _documents(split_text(number, other, weight))
        path = _path("TrafficSplit", f"s{number}")
        if path in self._said:
            return self._set({path: {"spec": split["spec"]}}, MERGE)
        self._said[path] = {"spec": split["spec"]}
        return self._write_one("POST", _path("TrafficSplit"), split, JSON)

    def beat(self, number: int, replica: int) -> int:
        """Say of a pod that it is as it was, at another time: all that a kubelet has to say of most."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "Ready", "lastProbeTime": now}
        path = f"{_path('Pod', f's{number}-{replica}')}/status"
        return self._write_one("PATCH", path, {"status": {"conditions": [condition]}}, STRATEGIC)

    def renew_lease(self) -> int:
        """As each kubelet does every ten seconds, and each elected leader more often."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return self._write_one("PATCH", _path("Lease", LEASE), {"spec": {"renewTime": now}}, MERGE)

    def _set(self, wanted: Patches, content_type: str) -> int:
        """Write what is not like that already."""
        changed = {path: body for path, body in wanted.items() if self._said[path] != body}
        self._said.update(changed)
        return min([self._write_one("PATCH", p, b, content_type) for p, b in changed.items()])

    def _write_one(self, method: str, path: str, body: Document, content_type: str) -> int:
        """Write something; returns the monotonic clock in ns right before that."""
        at = time.monotonic_ns()
        answer = self._cluster.run(self._send(method, path, body, content_type))
        version = msgspec.json.decode(answer, type=Object).metadata.resource_version
        if int(version) <= self._newest:
            raise RuntimeError(f"{path} was like that already, so nothing was changed")
        self._newest = int(version)
        self.versions[at] = version
        return at

    def _readiness(self, number: int, unready: frozenset[int]) -> Patches:
        """A patch for each pod of a service."""
        return {
            f"{_path('Pod', f's{number}-{replica}')}/status": _ready(replica not in unready)
            for replica in range(self.replicas)
        }


def _ready(ready: bool) -> Document:  # noqa: FBT001
    return {"status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


def _rules(number: int, path: str, note: str) -> Patches:
    """A patch for a service's note, and one for the path that its callers may use."""
    match = {"name": "m", "pathRegex": path, "methods": ["GET"]}
    return {
        _path("Service", f"s{number}"): {"metadata": {"annotations": {"bench/note": note}}},
        _path("HTTPRouteGroup", f"s{number}"): {"spec": {"matches": [match]}},
    }


def _documents(text: str) -> Iterator[Document]:
    yield from yaml.load_all(text, yaml.CSafeLoader)


def _path(kind: str, name: str = "") -> str:
    """Where the objects of a kind are, or one of them."""
    group, plural = _PLACES[kind]
    collection = f"{group}/namespaces/{NAMESPACE}/{plural}"
    return f"{collection}/{name}" if name else collection


_PLACES = {
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "HTTPRouteGroup": ("/apis/specs.smi-spec.io/v1alpha4", "httproutegroups"),
    "TrafficTarget": ("/apis/access.smi-spec.io/v1alpha3", "traffictargets"),
    "TrafficSplit": ("/apis/split.smi-spec.io/v1alpha4", "trafficsplits"),
}
WITNESSED = tuple(
    f"{_PLACES[kind][0]}/{_PLACES[kind][1]}" for kind in ("Pod", "HTTPRouteGroup", "TrafficSplit")
)
"""The paths of all objects of the kinds whose changes are timed."""
