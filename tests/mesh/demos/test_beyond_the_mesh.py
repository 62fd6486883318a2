"""OSM's documented demos of traffic that leaves the mesh, with their YAML, ports and figures.

`httpbin.org` and the addresses of the demos are servers of this machine here: only who looks names up and
who connects, at the very end of the way out, is ours.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from tests.mesh.beyond import certificate
from tests.mesh.harness import MeshUnderTest, local_mesh, puppet

from osm.errors import PlatformError
from osm.local import gateway
from osm.local.relay import Connection
from osm.runtime import way_out
from osm.testing import httpbin

from .clients import CURL, apply, fortio_http, mesh_config, statistic

EXCLUDED, OTHER = "198.51.100.7", "203.0.113.7"
"""Reserved for documentation (RFC 5737): what the demos call httpbin.org's addresses."""
NAMES = {"httpbin.org": EXCLUDED, "httpbin.httpbin.svc.cluster.local": OTHER}
CLOSED = mesh_config(enableEgress=False)


@contextmanager
def _httpbin(tls: Path | None = None) -> Iterator[int]:
    """The port of an httpbin outside of the mesh."""
    server = httpbin.server("127.0.0.1", 0)
    if tls is not None:
        server.socket = certificate(tls).wrap_socket(server.socket, server_side=True)
    _serve(server)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _serve(server: ThreadingHTTPServer) -> None:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


async def _look_up(name: str) -> Sequence[str]:
    return [NAMES[name]] if name in NAMES else []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    (directory / "apps.yaml").write_text(puppet("curl"))
    (directory / "config.yaml").write_text(CLOSED)
    with (
        _httpbin() as http,
        _httpbin(tmp_path_factory.mktemp("tls")) as https,
        pytest.MonkeyPatch.context() as patch,
    ):
        ports = {80: http, 443: https, 14001: http}

        async def leave(address: str, port: int) -> Connection:
            assert address in (EXCLUDED, OTHER), (address, port)
            return await asyncio.open_connection("127.0.0.1", ports[port])

        patch.setattr(way_out, "look_up", _look_up)
        patch.setattr(gateway, "_open", leave)
        async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
            await running.wait_ready(1)
            await running.settle()
            yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def egress(name: str, number: int, protocol: str, *more: str) -> str:
    return "\n".join(
        (
            f"""
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata:
  name: {name}
  namespace: curl
spec:
  sources:
    - kind: ServiceAccount
      name: curl
      namespace: curl
  ports:
    - number: {number}
      protocol: {protocol}""",
            *more,
        )
    )


HOSTS = """
  hosts:
    - httpbin.org"""
MATCHES = """
  matches:
    - apiGroup: specs.smi-spec.io/v1alpha4
      kind: HTTPRouteGroup
      name: egress-http-route"""
GROUP = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata:
  name: egress-http-route
  namespace: curl
spec:
  matches:
    - name: get
      pathRegex: /get
      methods:
        - GET"""
STATUS = """
    - name: status
      pathRegex: /status.*
      methods:
        - GET"""


async def http(mesh: MeshUnderTest, path: str = "/get", host: str = "httpbin.org") -> int:
    return (await mesh.get(CURL, f"http://{host}:80{path}"))[0]


async def https(
    mesh: MeshUnderTest, address: str = "httpbin.org", name: str = "httpbin.org"
) -> int:
    """`curl -k https://httpbin.org:443/get`, and with `--connect-to` another address."""
    program = f"""
        import ssl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with socket.create_connection(({address!r}, 443), 5) as plain:
                with context.wrap_socket(plain, server_hostname={name!r}) as line:
                    line.sendall(b"GET /get HTTP/1.1\\r\\nhost: httpbin.org\\r\\n\\r\\n")
                    result = int(line.recv(1000).split()[1])
        except OSError:
            result = 0
        """
    status: int = await mesh.run(CURL, program)
    return status


async def test_what_an_egress_names_leaves_and_nothing_else(mesh: MeshUnderTest) -> None:
    assert (await http(mesh), await https(mesh)) == (0, 0)

    await apply(mesh, "egress.yaml", egress("httpbin-80", 80, "http", HOSTS))
    status, headers, _ = await mesh.get(CURL, "http://httpbin.org:80/get")
    assert (status, headers["server"]) == (200, "envoy")
    assert await https(mesh) == 0
    await apply(mesh, "egress.yaml")
    assert await http(mesh) == 0

    await apply(mesh, "egress.yaml", egress("httpbin-443", 443, "https", HOSTS))
    assert await https(mesh) == 200
    assert await https(mesh, EXCLUDED, "other.example") == 0, "the server name decides"
    assert await http(mesh) == 0
    await apply(mesh, "egress.yaml")
    assert await https(mesh) == 0

    await apply(mesh, "egress.yaml", egress("tcp-443", 443, "tcp"))
    for address in (EXCLUDED, OTHER):
        assert await https(mesh, address, "other.example") == 200, "any host on this port"
    await apply(mesh, "egress.yaml")
    assert await https(mesh, EXCLUDED) == 0


async def test_routes_of_an_egress_leave_by_their_path(mesh: MeshUnderTest) -> None:
    limited = egress("httpbin-80", 80, "http", HOSTS, MATCHES)
    await apply(mesh, "egress.yaml", limited, GROUP)
    assert (await http(mesh), await http(mesh, "/status/200")) == (200, 404)
    await apply(mesh, "egress.yaml", limited, GROUP + STATUS)
    assert (await http(mesh), await http(mesh, "/status/200")) == (200, 200)
    await apply(mesh, "egress.yaml")


async def test_mesh_wide_egress_is_switched_by_mesh_config(mesh: MeshUnderTest) -> None:
    assert (await http(mesh), await https(mesh)) == (0, 0)
    await apply(mesh, "config.yaml", mesh_config(enableEgress=True))
    assert (await http(mesh), await https(mesh)) == (200, 200)
    await apply(mesh, "config.yaml", CLOSED)
    assert (await http(mesh), await https(mesh)) == (0, 0)


SETTING = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata:
  name: httpbin-external
  namespace: curl
spec:
  host: httpbin.httpbin.svc.cluster.local
  connectionSettings:
    tcp:
      maxConnections: 1
    http:
      maxPendingRequests: 1
      maxRequestsPerConnection: 1"""
EXTERNAL = """
  hosts:
    - httpbin.httpbin.svc.cluster.local"""
LIMITED = """
  matches:
    - apiGroup: policy.openservicemesh.io/v1alpha1
      kind: UpstreamTrafficSetting
      name: httpbin-external"""


async def test_a_circuit_breaks_to_what_is_no_part_of_the_mesh(mesh: MeshUnderTest) -> None:
    host = "httpbin.httpbin.svc.cluster.local"
    overflow = "cluster.httpbin_httpbin_svc_cluster_local_14001.upstream_rq_pending_overflow"
    url = f"http://{host}:14001/delay/0.01"
    await apply(mesh, "egress.yaml", egress("httpbin-external", 14001, "http", EXTERNAL))
    assert await fortio_http(mesh, CURL, url, calls=50) == {"200": 50}
    before = await statistic(mesh, CURL, overflow)
    limited = egress("httpbin-external", 14001, "http", EXTERNAL, LIMITED)
    await apply(mesh, "egress.yaml", limited, SETTING)
    found = await fortio_http(mesh, CURL, url, calls=50)
    assert found.keys() == {"200", "503"} and sum(found.values()) == 50, found
    assert await statistic(mesh, CURL, overflow) - before == found["503"]
    await apply(mesh, "egress.yaml")


async def test_an_excluded_range_goes_around_the_proxy_after_a_restart(mesh: MeshUnderTest) -> None:
    assert (await http(mesh, host=EXCLUDED), await http(mesh, host=OTHER)) == (0, 0)
    lists = mesh_config(enableEgress=False, outboundIPRangeExclusionList=[f"{EXCLUDED}/32"])
    await apply(mesh, "config.yaml", lists)
    assert await http(mesh, host=EXCLUDED) == 0, "a pod that runs keeps what it started with"
    # As `kubectl rollout restart` does it.
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    mesh.write("apps.yaml", puppet("curl", annotations=restarted))

    async def new() -> bool:
        try:
            return await http(mesh, host=EXCLUDED) == 200
        except (PlatformError, OSError, ValueError):
            return False  # the old one ends, the new one is not there yet

    await mesh.wait_for(new, "the new pod goes around its proxy", within=20)
    status, headers, _ = await mesh.get(CURL, f"http://{EXCLUDED}:80/get")
    assert (status, headers["Server"].split()[0]) == (200, "httpbin")
    assert await http(mesh, host=OTHER) == 0
