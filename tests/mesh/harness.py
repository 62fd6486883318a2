"""A real local mesh for a test: real Envoys, real namespaces, files in a directory of the test's own."""

import asyncio
import json
import textwrap
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.waiting import eventually

from osm.ads.control_plane import ControlPlane
from osm.local.runtime_directory import mesh_directory
from osm.runtime.local_mesh import LocalMesh, LocalMeshSettings, run_local_mesh

START_LIMIT_S = 60.0


class MeshUnderTest:
    """A running mesh, with what tests do to it."""

    def __init__(self, mesh: LocalMesh, directory: Path, name: str, state: Path) -> None:
        self.mesh = mesh
        self.api = mesh.api
        self.directory = directory
        self.name = name
        self.state = state
        """Where the mesh keeps its root certificate and key."""
        self.runtime = mesh_directory(name)
        """The sockets of the control plane and of the pods."""
        self._marks = 0

    def write(self, file: str, text: str) -> None:
        """Edit a file of the mesh's directory, as a person would."""
        (self.directory / file).write_text(textwrap.dedent(text))

    def remove(self, file: str) -> None:
        (self.directory / file).unlink()

    async def run(self, pod: str, program: str, *, timeout: float = 20.0) -> Any:
        """Run Python in a puppet's workload, and give its `result`."""
        namespace, _, name = pod.partition("/")
        body = textwrap.dedent(program).encode()
        async with asyncio.timeout(timeout):
            connection = await self.mesh.dial(namespace, name, 8000)
            reader, writer = await asyncio.open_connection(sock=connection)
            head = f"POST /run HTTP/1.0\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.read(-1)
            writer.close()
        first, _, content = answer.partition(b"\r\n\r\n")
        value = json.loads(content)
        assert b" 200 " in first.split(b"\r\n")[0], value
        return value

    async def get(
        self,
        pod: str,
        url: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        timeout: float = 6.0,
    ) -> tuple[int, dict[str, str], str]:
        """Send a request from a workload: status (0 without an answer), headers, body."""
        program = f"""
            import urllib.request, urllib.error
            request = urllib.request.Request({url!r}, method={method!r}, headers={headers or {}!r})
            class Stay(urllib.request.HTTPRedirectHandler):
                def redirect_request(self, *arguments): return None
            try:
                with urllib.request.build_opener(Stay).open(request, timeout={timeout}) as answer:
                    result = [answer.status, dict(answer.headers), answer.read().decode()]
            except urllib.error.HTTPError as error:
                result = [error.code, dict(error.headers), error.read().decode()]
            except OSError as error:
                result = [0, {{}}, repr(error)]
            """
        status, found, body = await self.run(pod, program, timeout=timeout + 10)
        return status, found, body

    async def talk(
        self, pod: str, host: str, port: int, data: str = "ping", *, timeout: float = 3.0
    ) -> tuple[str, str]:
        """Open a TCP connection from a workload, and read once (`osm.testing.calls.talk`)."""
        outcome, text = await self.run(
            pod, f"result = talk({host!r}, {port}, {data!r}, timeout={timeout})"
        )
        return outcome, text

    async def ask(
        self,
        pod: str,
        host: str,
        port: int = 80,
        target: str = "/",
        *,
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
    ) -> tuple[int, dict[str, str], str]:
        """Send a request as written, without a library's corrections (`osm.testing.calls.ask`)."""
        program = f"result = ask({host!r}, {port}, {method!r}, {target!r}, {list(headers)!r})"
        status, found, body = await self.run(pod, program)
        return status, found, body

    async def count(
        self, pod: str, host: str, port: int = 80, target: str = "/", **how: Any
    ) -> Any:
        """Send many requests, and count who answered (`osm.testing.calls.count_answers`)."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in how.items())
        program = f"result = count_answers({host!r}, {port}, {target!r}, {arguments})"
        return await self.run(pod, program, timeout=100)

    async def settle(self) -> None:
        """Wait until the files as they are have reached every proxy.

        Files are read in one order: when a marker written last is there, so is all before it.
        """
        self._marks += 1
        mark = f"mark-{self._marks}"
        self.write("mark.yaml", service(mark, namespace="marks", ports=((1, 1, "http"),)))
        await self.wait_for(
            lambda: any(o.key.name == mark for o in self.api.objects()), "the files are read"
        )
        calm = 0

        def in_sync() -> bool:
            # Between a new model and the first bytes on their way all seem to be in sync.
            nonlocal calm
            calm = calm + 1 if all(p.in_sync for p in self.api.view().proxies) else 0
            return calm >= 5

        await self.wait_for(in_sync, "every proxy is in sync")

    @property
    def control_plane(self) -> ControlPlane:
        return self.mesh.api._core.control_plane

    def inbound_socket(self, pod: str, port: int) -> Path:
        """Where a pod's proxy takes mutual TLS for one of its ports."""
        return self.runtime / "pods" / pod.replace("/", ".") / f"in.{port}.sock"

    async def wait_for(
        self, condition: Callable[[], bool | Awaitable[bool]], what: str, *, within: float = 10.0
    ) -> float:
        """Wait until a condition holds; returns how long that took in seconds."""
        return await eventually(condition, what, within=within, every=0.02)

    async def wait_ready(self, count: int, *, within: float = START_LIMIT_S) -> None:
        """Wait until so many workloads are ready, everybody knows it, and every proxy is in sync."""

        def ready() -> bool:
            view = self.api.view()
            return (
                sum(w.phase == "ready" for w in view.workloads) >= count
                and sum(w.ready for w in self.control_plane.model.workloads.values()) >= count
                and sum(p.in_sync for p in view.proxies) >= count
            )

        await self.wait_for(ready, f"{count} workloads are ready", within=within)
        # What was published a moment ago may not have been sent yet.
        await asyncio.sleep(0.05)


@asynccontextmanager
async def local_mesh(
    directory: Path,
    state: Path,
    *,
    isolation: str = "auto",
    leaf_validity: timedelta | None = None,
    former_mesh: str = "",
) -> AsyncIterator[MeshUnderTest]:
    """Run a mesh on the YAML of a directory. `state` takes the place of the user's state directory."""
    name = f"t{uuid.uuid4().hex[:8]}"
    settings = LocalMeshSettings(
        name,
        (directory,),
        isolation=isolation,
        leaf_validity=leaf_validity,
        state_directory=state,
        former_mesh=former_mesh,
    )
    async with run_local_mesh(settings, lambda *_: None) as mesh:
        yield MeshUnderTest(mesh, directory, name, state)


def puppet(
    name: str,
    *,
    namespace: str | None = None,
    account: str | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    arguments: tuple[str, ...] = (),
    replicas: int = 1,
) -> str:
    """A Deployment of `osm.testing.puppet`, with its namespace and service account."""
    namespace = namespace or name
    pairs = {"app": name, **(labels or {})}
    selector = json.dumps(pairs)
    return f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {account or name}, namespace: {namespace}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {selector}}}
  template:
    metadata: {{labels: {selector}, annotations: {json.dumps(annotations or {})}}}
    spec:
      serviceAccountName: {account or name}
      terminationGracePeriodSeconds: 1
      containers:
        - name: puppet
          command: ["python", "-m", "osm.testing.puppet", "8000"]
          args: {json.dumps(list(arguments))}
          env: [{{name: BIND_ADDRESS, value: "0.0.0.0"}}]
          readinessProbe: {{httpGet: {{path: /, port: 8000}}, periodSeconds: 1}}
"""


def stateful(
    name: str, *, arguments: tuple[str, ...] = (), replicas: int = 1, service: str = ""
) -> str:
    """A StatefulSet of puppets, whose pods have the names that its headless service gives them."""
    return (
        puppet(name, arguments=arguments, replicas=replicas)
        .replace("kind: Deployment", "kind: StatefulSet")
        .replace("spec:\n  replicas", f"spec:\n  serviceName: {service or name}\n  replicas", 1)
    )


def service(
    name: str,
    *,
    namespace: str | None = None,
    selector: dict[str, str] | None = None,
    ports: tuple[tuple[int, int, str], ...] = ((80, 8000, "http"),),
    headless: bool = False,
) -> str:
    """A Service; ports are service port, target port and appProtocol."""
    listed = json.dumps(
        [
            {"name": f"p{port}", "port": port, "targetPort": target, "appProtocol": protocol}
            for port, target, protocol in ports
        ]
    )
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace or name}}}
spec:
  selector: {json.dumps(selector or {"app": name})}
  ports: {listed}
  {"clusterIP: None" if headless else "type: ClusterIP"}
"""


def http_access(
    name: str,
    destination: str,
    sources: tuple[str, ...],
    *,
    path: str = ".*",
    methods: tuple[str, ...] = ("*",),
    headers: tuple[dict[str, str], ...] = (),
) -> str:
    """A TrafficTarget with its HTTPRouteGroup. Accounts are `<namespace>/<name>`."""
    namespace, _, account = destination.partition("/")
    listed = json.dumps(
        [
            {
                "kind": "ServiceAccount",
                "namespace": s.partition("/")[0],
                "name": s.partition("/")[2],
            }
            for s in sources
        ]
    )
    match = json.dumps(
        {"name": "m", "pathRegex": path, "methods": list(methods), "headers": list(headers)}
    )
    return f"""
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{matches: [{match}]}}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  destination: {{kind: ServiceAccount, name: {account}, namespace: {namespace}}}
  rules: [{{kind: HTTPRouteGroup, name: {name}, matches: [m]}}]
  sources: {listed}
"""


def tcp_access(
    name: str, destination: str, sources: tuple[str, ...], ports: tuple[int, ...] = ()
) -> str:
    """A TrafficTarget with its TCPRoute."""
    namespace, _, account = destination.partition("/")
    listed = json.dumps(
        [
            {
                "kind": "ServiceAccount",
                "namespace": s.partition("/")[0],
                "name": s.partition("/")[2],
            }
            for s in sources
        ]
    )
    return f"""
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{matches: {{ports: {list(ports)}}}}}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  destination: {{kind: ServiceAccount, name: {account}, namespace: {namespace}}}
  rules: [{{kind: TCPRoute, name: {name}}}]
  sources: {listed}
"""


def mesh_config(*, permissive: bool) -> str:
    return f"""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: osm-mesh-config, namespace: osm-system}}
spec:
  traffic: {{enablePermissiveTrafficPolicyMode: {str(permissive).lower()}}}
  certificate: {{serviceCertValidityDuration: 24h, certKeyBitSize: 2048}}
"""


def split(
    name: str,
    namespace: str,
    root: str,
    weights: dict[str, int],
    *,
    matches: tuple[str, ...] = (),
) -> str:
    """A TrafficSplit; `matches` are names of HTTPRouteGroups."""
    backends = json.dumps([{"service": s, "weight": w} for s, w in weights.items()])
    groups = json.dumps([{"kind": "HTTPRouteGroup", "name": m} for m in matches])
    return f"""
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  service: {root}
  backends: {backends}
  matches: {groups}
"""
