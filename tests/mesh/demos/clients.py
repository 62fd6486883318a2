"""What OSM's demos do by hand: apply YAML, call by curl and fortio, read a proxy's counters."""

import textwrap
from pathlib import Path
from typing import Any

from tests.mesh.harness import MeshUnderTest

from osm.core.model.origin import Severity

MANIFESTS = Path(__file__).parent / "manifests"
CURL = "curl/curl-0"
HTTPBIN = "http://httpbin.httpbin:14001"


def manifest(*names: str) -> str:
    """The text of files in `manifests/`."""
    return "\n---\n".join((MANIFESTS / f"{name}.yaml").read_text("utf-8") for name in names)


def mesh_config(**traffic: Any) -> str:
    """A MeshConfig with these settings of `spec.traffic`; flags are as `osm install` has them."""
    return f"""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: osm-mesh-config, namespace: osm-system}}
spec:
  traffic: {traffic!r}
  featureFlags: {{enableRetryPolicy: true}}
""".replace("True", "true").replace("False", "false")


async def apply(mesh: MeshUnderTest, file: str, *documents: str) -> None:
    """Write the objects of a file anew; none takes back what was there. Nothing may be wrong with them."""
    mesh.write(file, "\n---\n".join(map(textwrap.dedent, documents)) or "# none")
    await mesh.settle()
    errors = [finding for finding in mesh.api.findings() if finding.severity is Severity.ERROR]
    assert errors == []


async def statistic(mesh: MeshUnderTest, pod: str, name: str) -> int:
    """A counter of a pod's proxy; 0 when there is none yet."""
    text = (await mesh.api.proxy_admin(pod, "stats")).decode()
    values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return int(values.get(name, 0))


async def fortio_http(
    mesh: MeshUnderTest, pod: str, url: str, *, calls: int, workers: int = 3
) -> dict[str, int]:
    """`fortio load -c WORKERS -n CALLS URL`: how often each status came."""
    program = f"""
        import collections, threading, urllib.parse
        url = urllib.parse.urlsplit({url!r})
        left, lock, found = iter(range({calls})), threading.Lock(), collections.Counter()
        def work():
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
            while True:
                with lock:
                    if next(left, None) is None:
                        return connection.close()
                found[str(request(connection, "GET", url.path)[0])] += 1
        workers = [threading.Thread(target=work) for _ in range({workers})]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        result = found
        """
    counts: dict[str, int] = await mesh.run(pod, program, timeout=60)
    return counts


async def fortio_tcp(
    mesh: MeshUnderTest, pod: str, host: str, port: int, *, calls: int, workers: int = 3
) -> list[str]:
    """`fortio load -c WORKERS -n CALLS tcp://HOST:PORT`: each call's outcome.

    A worker keeps its connection, and opens another for the call after one that failed.
    """
    program = f"""
        import threading
        def work(share):
            line = None
            for _ in range(share):
                try:
                    line = line or socket.create_connection(({host!r}, {port}), 10)
                    line.sendall(b"ping")
                    good = line.recv(4) == b"ping"
                except OSError:
                    good = False
                result.append("ok" if good else "short read")
                line = line if good else None
        result = []
        shares = [{calls} // {workers} + (n < {calls} % {workers}) for n in range({workers})]
        workers = [threading.Thread(target=work, args=(share,)) for share in shares]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        """
    outcomes: list[str] = await mesh.run(pod, program, timeout=60)
    return outcomes
