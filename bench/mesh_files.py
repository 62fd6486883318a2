"""The synthetic mesh as YAML files: a service and its rules in one, its pods in another (or each in
its own), so that an endpoint that changes is a small edit. Services come in blocks of ten, whose
proxies call each other: every service has ten callers, and every caller ten services, whatever the
size of the mesh.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.mesh import NAMESPACE

BLOCK = 10
"""Services that a proxy calls, and proxies that call a service."""
PORT = 80
TARGET_PORT = 8080


def block(number: int, services: int) -> range:
    """The services that service `number` calls and is called by."""
    first = number // BLOCK * BLOCK
    return range(first, min(first + BLOCK, services))


def service_text(number: int, services: int, *, path: str = "/.*", note: str = "") -> str:
    """A service with one HTTP port, and who may call it."""
    name = f"s{number}"
    sources = "".join(
        f"    - {{kind: ServiceAccount, name: s{caller}, namespace: {NAMESPACE}}}\n"
        for caller in block(number, services)
    )
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {NAMESPACE}
  annotations: {{bench/note: "{note}"}}
spec:
  clusterIP: 240.0.{number >> 8}.{number & 255}
  selector: {{app: {name}}}
  ports: [{{port: {PORT}, targetPort: {TARGET_PORT}, appProtocol: http}}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  matches: [{{name: m, pathRegex: "{path}", methods: [GET]}}]
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  destination: {{kind: ServiceAccount, name: {name}, namespace: {NAMESPACE}}}
  rules: [{{kind: HTTPRouteGroup, name: {name}, matches: [m]}}]
  sources:
{sources}"""


def split_text(number: int, other: int, weight: int) -> str:
    """A service's requests, shared between itself and another one."""
    return f"""\
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {{name: s{number}, namespace: {NAMESPACE}}}
spec:
  service: s{number}
  backends: [{{service: s{number}, weight: {weight}}}, {{service: s{other}, weight: {100 - weight}}}]
"""


def pod_text(number: int, replica: int, *, ready: bool = True) -> str:
    """A pod of a service, as an API server shows it."""
    return f"""\
apiVersion: v1
kind: Pod
metadata:
  name: s{number}-{replica}
  namespace: {NAMESPACE}
  labels: {{app: s{number}}}
spec:
  serviceAccountName: s{number}
  containers: [{{name: app}}]
status:
  phase: Running
  podIP: 241.{number >> 8}.{number & 255}.{replica + 1}
  conditions: [{{type: Ready, status: "{"True" if ready else "False"}"}}]
"""


class MeshFiles:
    """The directory that a controller reads. Edits are atomic, as editors and `osm apply` make them."""

    def __init__(
        self, directory: Path, services: int, replicas: int, *, file_for_each_pod: bool
    ) -> None:
        self.directory = directory
        self.services = services
        self.replicas = replicas
        self._file_for_each_pod = file_for_each_pod

    def write(self) -> None:
        """Write everything."""
        (self.directory / "pods").mkdir(parents=True)
        (self.directory / "services").mkdir()
        for number in range(self.services):
            self.service_file(number).write_text(service_text(number, self.services))
            for path, text in self._pods(number, frozenset()):
                path.write_text(text)

    def service_file(self, number: int) -> Path:
        return self.directory / "services" / f"s{number}.yaml"

    def _pods(self, number: int, unready: frozenset[int]) -> Iterator[tuple[Path, str]]:
        texts = [pod_text(number, n, ready=n not in unready) for n in range(self.replicas)]
        if self._file_for_each_pod:
            yield from ((self._pod_file(number, n), text) for n, text in enumerate(texts))
        else:
            yield self._pod_file(number, 0), "---\n".join(texts)

    def _pod_file(self, number: int, replica: int) -> Path:
        return self.directory / "pods" / f"s{number}-{replica}.yaml"

    def set_endpoints(self, number: int, unready: frozenset[int]) -> int:
        """Say which pods of a service are not ready; returns when, see `replace`."""
        return min([replace(path, text) for path, text in self._pods(number, unready)])

    def set_endpoint(self, number: int, replica: int, *, ready: bool) -> int:
        """The same for one pod, where each has a file of its own."""
        assert self._file_for_each_pod
        return replace(self._pod_file(number, replica), pod_text(number, replica, ready=ready))

    def set_service(self, number: int, *, path: str = "/.*", note: str = "") -> int:
        """Change the path that callers may use, or only an annotation."""
        text = service_text(number, self.services, path=path, note=note)
        return replace(self.service_file(number), text)

    def set_split(self, number: int, other: int, weight: int) -> int:
        """Share a service's requests with another one."""
        path = self.directory / "services" / f"s{number}-split.yaml"
        return replace(path, split_text(number, other, weight))


def replace(path: Path, text: str) -> int:
    """Replace a file in one step; returns the monotonic clock in ns right before that."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    at = time.monotonic_ns()
    os.replace(temporary, path)  # noqa: PTH105 - nothing in between
    return at
