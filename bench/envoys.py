"""Real Envoys in the mesh: an application behind one of them, and callers whose requests it answers."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from bench.kernel import Memory, memory
from bench.mesh_files import PORT, replace
from bench.rig import Rig
from bench.unix_http import get_over_unix
from osm.core.envoy import names
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.workload import SocketAddress
from osm.issuers.keeper import CertificateKeeper
from osm.kit.clock import SystemClock
from osm.local.explicit import HTTP_PORT
from osm.local.proxy import ADMIN_SOCKET, envoy_binary
from osm.runtime.proxy_files import ProxyFiles
from osm.runtime.settings import TRUST_DOMAIN, ads_name

NAMESPACE = "real"
SHOP = "shop"
APP_PORT = 8000
START_LIMIT_S = 60.0
MORE = 2


def called(number: int) -> str:
    """The name of one of the services that the application stands behind."""
    return f"called-{number}"


def called_cluster(number: int) -> str:
    """The name of its cluster, and of its endpoints."""
    return f"{NAMESPACE}/{called(number)}|{APP_PORT}"


def called_virtual_host(number: int) -> str:
    """The name of what a request to it is matched against."""
    return f"{names.outbound_routes(PORT)}/{called(number)}.{NAMESPACE}"


class Answer(msgspec.Struct, frozen=True):
    """Status (0 without one), and ms from connecting to the end of the answer."""

    status: int
    took_ms: float


class RealProxy:
    """One Envoy, started from the files that `osm proxy bootstrap` writes."""

    def __init__(self, name: str, ip: str, directory: Path, arguments: Sequence[str]) -> None:
        self.name = name
        self.ip = ip
        self._admin = directory / ADMIN_SOCKET
        with (directory / "envoy.log").open("wb") as output:
            self._process = subprocess.Popen(
                [envoy_binary(), *arguments], stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def memory(self) -> Memory:
        return memory(self._process.pid)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def members(self, cluster: str) -> int:
        """How many endpoints it knows of a cluster."""
        stat = f"cluster.{cluster}.membership_total: "
        for line in self.admin("/stats?filter=membership_total").splitlines():
            if line.startswith(stat):
                return int(line.removeprefix(stat))
        return -1

    def admin(self, path: str) -> str:
        return get_over_unix(self._admin, path).decode()

    @property
    def ready(self) -> bool:
        try:
            return self.admin("/ready").strip() == "LIVE"
        except OSError:
            return False

    async def request(self, service: str, limit_s: float = 30.0) -> Answer:
        """One request of this proxy's application, on a connection of its own."""
        started = time.perf_counter()
        status = 0
        try:
            async with asyncio.timeout(limit_s):
                reader, writer = await asyncio.open_connection(self.ip, HTTP_PORT)
                host = f"{service}.{NAMESPACE}"
                writer.write(
                    f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
                )
                words = (await reader.readline()).split()
                await reader.read(-1)
                status = int(words[1]) if words else 0
                writer.close()
        except (OSError, TimeoutError, ValueError):
            status = 0
        return Answer(status, (time.perf_counter() - started) * 1000)


class RealPart:
    """The part of a mesh that is real: the application's proxy, and the callers'."""

    def __init__(self, made: Rig, services: int, callers: int) -> None:
        self._rig = made
        self._services = services
        self._objects = made.files.directory / "real"
        self._directory = made.directory / "e"
        self._callers = [f"caller-{n}" for n in range(callers)]
        self.callers: tuple[RealProxy, ...] = ()
        self._processes: list[subprocess.Popen[bytes] | RealProxy] = []

    def start(self) -> None:
        """Start everything, and wait until the application answers every caller."""
        self._directory.mkdir()
        self._objects.mkdir()
        names_ = [SHOP, *self._callers]
        ips = {name: f"127.93.0.{n + 2}" for n, name in enumerate(names_)}
        for name, ip in ips.items():
            (self._objects / f"{name}.yaml").write_text(self._pod(name, ip))
        (self._objects / "called.yaml").write_text(self._rules())
        self.set_more(0)
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "osm.testing.puppet", str(APP_PORT)],
                env={**os.environ, "BIND_ADDRESS": ips[SHOP]}, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )  # fmt: skip
        arguments = asyncio.run(self._bootstrap(names_))
        proxies = {
            name: RealProxy(name, ips[name], self._directory / name, arguments[name])
            for name in names_
        }
        self._processes += proxies.values()
        self.callers = tuple(proxies[name] for name in self._callers)
        wait_until(lambda: all(p.ready for p in proxies.values()), "every Envoy is ready")
        for caller in self.callers:
            # The last service: the others stay unused.
            wait_until(partial(self._answers, caller, self._services - 1), "an answer")

    def _answers(self, caller: RealProxy, number: int) -> bool:
        return self.ask(caller, number).status == 200

    def ask(self, caller: RealProxy, number: int) -> Answer:
        """One request to one of the services."""
        return asyncio.run(caller.request(called(number)))

    def set_more(self, count: int) -> int:
        """Say how many more pods, which nobody runs, are ready behind the services; returns when."""
        pods = [
            self._pod(f"{SHOP}-more-{n}", f"127.93.1.{n + 1}", app=SHOP, ready=n < count)
            for n in range(MORE)
        ]
        return replace(self._objects / "more.yaml", "---".join(pods))

    def stop(self) -> None:
        """End all of it, also as objects of the mesh."""
        for process in self._processes:
            if isinstance(process, RealProxy):
                process.stop()
            else:
                process.kill()
                process.wait()
        for path in self._objects.glob("*.yaml"):
            path.unlink()

    async def _bootstrap(self, names_: Sequence[str]) -> dict[str, list[str]]:
        host, _, port = self._rig.controller.ads.rpartition(":")
        keeper = CertificateKeeper(self._rig.tresor(), SystemClock(), rng=Random())
        files = ProxyFiles(keeper, SocketAddress(host, int(port)), ads_name(TRUST_DOMAIN))
        arguments = {}
        for name in names_:
            directory = self._directory / name
            directory.mkdir()
            who = ProxyIdentity(Identity(TRUST_DOMAIN, NAMESPACE, name), f"{name}-0")
            arguments[name] = await files.write(who, directory, directory / ADMIN_SOCKET)
        return arguments

    def _pod(self, name: str, ip: str, *, app: str = "", ready: bool = True) -> str:
        capture = f'{{"ip": "{ip}", "http_port": {HTTP_PORT}}}'
        return f"""
apiVersion: v1
kind: Pod
metadata:
  name: {name}-0
  namespace: {NAMESPACE}
  labels: {{app: {app or name}}}
  annotations:
    local.openservicemesh.io/inbound-address: "unix:{self._directory}/{name}/in.{{port}}.sock"
    local.openservicemesh.io/capture: '{capture}'
    local.openservicemesh.io/app-ip: {ip}
spec:
  serviceAccountName: {app or name}
  containers: [{{name: app}}]
status:
  phase: Running
  podIP: {ip}
  conditions: [{{type: Ready, status: "{ready}"}}]
"""

    def _rules(self) -> str:
        services = [
            f"""
apiVersion: v1
kind: Service
metadata: {{name: {called(number)}, namespace: {NAMESPACE}}}
spec:
  selector: {{app: {SHOP}}}
  ports: [{{port: {PORT}, targetPort: {APP_PORT}, appProtocol: http}}]
"""
            for number in range(self._services)
        ]
        sources = "".join(
            f"    - {{kind: ServiceAccount, name: {name}, namespace: {NAMESPACE}}}\n"
            for name in self._callers
        )
        access = f"""
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {{name: callers, namespace: {NAMESPACE}}}
spec:
  matches: [{{name: m, pathRegex: ".*", methods: ["*"]}}]
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {{name: callers, namespace: {NAMESPACE}}}
spec:
  destination: {{kind: ServiceAccount, name: {SHOP}, namespace: {NAMESPACE}}}
  rules: [{{kind: HTTPRouteGroup, name: callers, matches: [m]}}]
  sources:
{sources}"""
        return "---".join([*services, access])


@contextmanager
def real_part(made: Rig, services: int, callers: int) -> Iterator[RealPart]:
    """Real Envoys that answer, in a mesh that runs."""
    part = RealPart(made, services, callers)
    try:
        part.start()
        yield part
    finally:
        part.stop()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that takes a moment. Raises `RuntimeError`."""
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {START_LIMIT_S:.0f} s: {what}")
        time.sleep(0.05)
