"""OSM's documented demos whose traffic stays in the mesh, with their YAML, ports and figures."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.mesh.harness import MeshUnderTest, local_mesh, puppet

from .clients import (
    CURL,
    HTTPBIN,
    apply,
    fortio_http,
    fortio_tcp,
    manifest,
    mesh_config,
    statistic,
)

FORTIO = "demo/fortio-0"
PERMISSIVE = mesh_config(enablePermissiveTrafficPolicyMode=True)
SMI = mesh_config(enablePermissiveTrafficPolicyMode=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MeshUnderTest]:
    directory: Path = tmp_path_factory.mktemp("mesh")
    objects = (puppet("curl"), manifest("httpbin", "tcp-echo", "fortio"))
    (directory / "apps.yaml").write_text("\n---\n".join(objects))
    (directory / "config.yaml").write_text(PERMISSIVE)
    async with local_mesh(directory, tmp_path_factory.mktemp("state")) as running:
        await running.wait_ready(5)
        await running.settle()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_permissive_mode_lets_curl_call_httpbin(mesh: MeshUnderTest) -> None:
    status, headers, _ = await mesh.get(CURL, f"{HTTPBIN}/get")
    assert (status, headers["server"]) == (200, "envoy")
    await apply(mesh, "config.yaml", SMI)
    status, headers, _ = await mesh.get(CURL, f"{HTTPBIN}/get")
    assert status == 403 and "no-access-rule" in headers["x-osm-denied"]
    await apply(mesh, "config.yaml", PERMISSIVE)
    assert (await mesh.get(CURL, f"{HTTPBIN}/get"))[0] == 200


def http_split(v1: int, v2: int) -> str:
    return f"""
        apiVersion: split.smi-spec.io/v1alpha2
        kind: TrafficSplit
        metadata:
          name: http-split
          namespace: httpbin
        spec:
          service: httpbin.httpbin.svc.cluster.local
          backends:
            - service: httpbin-v1
              weight: {v1}
            - service: httpbin-v2
              weight: {v2}
        """


async def pods(mesh: MeshUnderTest, calls: int) -> Counter[str]:
    """Who answered, by the header `pod`."""
    program = f"""
        result = [
            ask("httpbin.httpbin", 14001, "GET", "/get")[1]["pod"] for _ in range({calls})
        ]
        """
    return Counter(await mesh.run(CURL, program, timeout=60))


async def test_a_canary_gets_its_share(mesh: MeshUnderTest) -> None:
    await apply(mesh, "split.yaml", http_split(100, 0))
    assert await pods(mesh, 10) == {"httpbin-v1-0": 10}
    await apply(mesh, "split.yaml", http_split(50, 50))
    found = await pods(mesh, 100)
    assert set(found) == {"httpbin-v1-0", "httpbin-v2-0"}
    assert 30 <= found["httpbin-v1-0"] <= 70  # fails by chance once in 20,000 times
    await apply(mesh, "split.yaml", http_split(0, 100))
    assert await pods(mesh, 10) == {"httpbin-v2-0": 10}
    await apply(mesh, "split.yaml")


TCP_ACCESS = """
    apiVersion: specs.smi-spec.io/v1alpha4
    kind: TCPRoute
    metadata:
      name: tcp-echo-route
      namespace: tcp-demo
    spec:
      matches:
        ports:
          - 9000
    ---
    apiVersion: access.smi-spec.io/v1alpha3
    kind: TrafficTarget
    metadata:
      name: tcp-access
      namespace: tcp-demo
    spec:
      destination:
        kind: ServiceAccount
        name: tcp-echo-server
        namespace: tcp-demo
      sources:
        - kind: ServiceAccount
          name: curl
          namespace: curl
      rules:
        - kind: TCPRoute
          name: tcp-echo-route
    """


async def test_tcp_is_allowed_by_a_tcp_route(mesh: MeshUnderTest) -> None:
    async def say_hello() -> tuple[str, str]:
        return await mesh.talk(CURL, "tcp-echo.tcp-demo", 9000, "hello\n")

    answer = ("answered", "echo response: hello\n")
    assert await say_hello() == answer
    await apply(mesh, "config.yaml", SMI)
    assert await say_hello() == ("closed", "")
    await apply(mesh, "access.yaml", TCP_ACCESS)
    assert await say_hello() == answer
    await apply(mesh, "access.yaml")
    await apply(mesh, "config.yaml", PERMISSIVE)


CIRCUIT = """
    apiVersion: policy.openservicemesh.io/v1alpha1
    kind: UpstreamTrafficSetting
    metadata:
      name: httpbin
      namespace: httpbin
    spec:
      host: httpbin.httpbin.svc.cluster.local
      connectionSettings:
        tcp:
          maxConnections: 1
        http:
          maxPendingRequests: 1
          maxRequestsPerConnection: 1
    """


async def test_a_circuit_breaks_in_the_mesh(mesh: MeshUnderTest) -> None:
    overflow = "cluster.httpbin/httpbin|14001.upstream_rq_pending_overflow"
    url = f"{HTTPBIN}/delay/0.01"  # as long as a call takes elsewhere: three of them do meet
    assert await fortio_http(mesh, CURL, url, calls=50) == {"200": 50}
    before = await statistic(mesh, CURL, overflow)
    await apply(mesh, "setting.yaml", CIRCUIT)
    found = await fortio_http(mesh, CURL, url, calls=50)
    assert found.keys() == {"200", "503"} and sum(found.values()) == 50, found
    assert await statistic(mesh, CURL, overflow) - before == found["503"]
    await apply(mesh, "setting.yaml")


def of_connections(more: str = "") -> str:
    return f"""
        apiVersion: policy.openservicemesh.io/v1alpha1
        kind: UpstreamTrafficSetting
        metadata:
          name: tcp-rate-limit
          namespace: demo
        spec:
          host: fortio.demo.svc.cluster.local
          rateLimit:
            local:
              tcp:
                connections: 1
                unit: minute
                {more}
        """


async def test_connections_are_limited(mesh: MeshUnderTest) -> None:
    async def outcomes() -> Counter[str]:
        return Counter(await fortio_tcp(mesh, CURL, "fortio.demo", 8078, calls=10))

    limited = "local_rate_limit.inbound_demo/fortio_8078_tcp.rate_limited"
    assert await outcomes() == {"ok": 10}
    await apply(mesh, "setting.yaml", of_connections())
    found = await outcomes()
    # One of three workers has a connection: its 3 calls, or 4 if it is the first.
    assert found["ok"] in (3, 4) and sum(found.values()) == 10, found
    # The caller's proxy tries three times to connect, and each attempt counts.
    refused = found["short read"]
    assert refused <= await statistic(mesh, FORTIO, limited) <= 3 * refused
    await apply(mesh, "setting.yaml", of_connections("burst: 10"))
    assert await outcomes() == {"ok": 10}
    await apply(mesh, "setting.yaml")


def of_requests(more: str = "") -> str:
    return f"""
        apiVersion: policy.openservicemesh.io/v1alpha1
        kind: UpstreamTrafficSetting
        metadata:
          name: http-rate-limit
          namespace: demo
        spec:
          host: fortio.demo.svc.cluster.local
          rateLimit:
            local:
              http:
                requests: 3
                unit: minute
                {more}
        """


OF_ROUTES = """
    apiVersion: policy.openservicemesh.io/v1alpha1
    kind: UpstreamTrafficSetting
    metadata:
      name: http-rate-limit
      namespace: demo
    spec:
      host: fortio.demo.svc.cluster.local
      httpRoutes:
        - path: .*
          rateLimit:
            local:
              requests: 3
              unit: minute
    """


async def test_requests_are_limited_of_a_host_and_of_a_route(mesh: MeshUnderTest) -> None:
    async def load() -> dict[str, int]:
        return await fortio_http(mesh, CURL, "http://fortio.demo:8080/get", calls=10)

    limited = "http_local_rate_limiter.http_local_rate_limit.rate_limited"
    await apply(mesh, "setting.yaml", of_requests())
    assert await load() == {"200": 3, "429": 7}
    assert await statistic(mesh, FORTIO, limited) == 7
    await apply(mesh, "setting.yaml", of_requests("burst: 10"))
    assert await load() == {"200": 10}
    await apply(mesh, "setting.yaml", OF_ROUTES)
    assert await load() == {"200": 3, "429": 7}
    assert await statistic(mesh, FORTIO, limited) == 14
    await apply(mesh, "setting.yaml")


RETRY = """
    apiVersion: policy.openservicemesh.io/v1alpha1
    kind: Retry
    metadata:
      name: retry
      namespace: curl
    spec:
      source:
        kind: ServiceAccount
        name: curl
        namespace: curl
      destinations:
        - kind: Service
          name: httpbin
          namespace: httpbin
      retryPolicy:
        retryOn: "5xx"
        perTryTimeout: 1s
        numRetries: 5
        retryBackoffBaseInterval: 10ms
    """


async def test_5xx_is_retried_and_404_is_not(mesh: MeshUnderTest) -> None:
    names = ("", "_backoff_exponential", "_limit_exceeded")

    async def added(path: str) -> list[int]:
        async def counters() -> list[int]:
            prefix = "cluster.httpbin/httpbin|14001.upstream_rq_retry"
            return [await statistic(mesh, CURL, prefix + name) for name in names]

        before = await counters()
        await mesh.get(CURL, HTTPBIN + path)
        return [after - old for after, old in zip(await counters(), before, strict=True)]

    await apply(mesh, "retry.yaml", RETRY)
    assert await added("/status/404") == [0, 0, 0]
    assert await added("/status/503") == [5, 5, 1]
    await apply(mesh, "retry.yaml")
    assert await added("/status/503") == [0, 0, 0]
