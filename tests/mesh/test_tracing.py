"""Spans of the bookstore's requests at a collector that takes Zipkin's JSON, in the mesh and beyond."""

import asyncio
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osm.demo.scenario import APPS, MANIFESTS
from osm.local.proxy import ask_admin
from osm.testing.builders import mesh_config

from .collector import Collector, Spans
from .harness import MeshUnderTest, local_mesh, puppet, service

BUYER, STORE, WAREHOUSE = (f"{n}.{n}" for n in ("bookbuyer", "bookstore", "bookwarehouse"))
COLLECTOR = "---".join(
    (
        puppet("jaeger", namespace="osm-system").replace(
            '"osm.testing.puppet", "8000"', '"tests.mesh.collector", "4317", "9411"'
        ).replace("path: /, port: 8000", "path: /spans, port: 9411"),
        service("jaeger", namespace="osm-system", ports=((9411, 9411, "http"),)),
    )
)  # fmt: skip


def settings(**tracing: object) -> str:
    """A MeshConfig: everybody may call everybody, and spans go somewhere or nowhere."""
    traffic = {"enablePermissiveTrafficPolicyMode": True}
    return json.dumps(mesh_config(traffic=traffic, observability={"tracing": tracing}))


def bookstore(directory: Path) -> None:
    for file in APPS:
        shutil.copy(MANIFESTS / file, directory / Path(file).name)


def whole_trace(spans: Spans) -> Spans | None:
    """A trace of a sale, from the buyer to the warehouse."""
    traces: dict[str, Spans] = defaultdict(list)
    for span in spans:
        traces[span["traceId"]].append(span)
    ends = {
        (BUYER, "CLIENT"), (STORE, "SERVER"), (STORE, "CLIENT"), (WAREHOUSE, "SERVER"),
    }  # fmt: skip
    return next(
        (t for t in traces.values() if ends <= {(_who(span), span["kind"]) for span in t}), None
    )


def _who(span: dict[str, Any]) -> str:
    return str(span["localEndpoint"]["serviceName"])


def check(trace: Spans) -> None:
    """The four spans hang together, and say who spoke with whom."""
    by_end = {(_who(span), span["kind"]): span for span in trace}
    buys, sells = by_end[BUYER, "CLIENT"], by_end[STORE, "SERVER"]
    orders, restocks = by_end[STORE, "CLIENT"], by_end[WAREHOUSE, "SERVER"]
    assert "parentId" not in buys
    # Both sides of a request tell of one span, as B3 has it.
    assert (sells["id"], restocks["id"]) == (buys["id"], orders["id"])
    assert orders["parentId"] == sells["id"] != orders["id"]
    assert buys["name"] == "GET bookstore.bookstore.svc.cluster.local:14001"
    assert orders["name"].startswith("POST bookwarehouse.bookwarehouse")
    tags = buys["tags"]
    assert tags["http.status_code"] == "200" and tags["http.method"] == "GET"
    assert tags["osm.route"] == "Service bookstore/bookstore"
    assert tags["osm.server"] == "spiffe://cluster.local/ns/bookstore/sa/bookstore"
    assert sells["tags"]["osm.caller"] == "spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer"
    assert buys["tags"]["guid:x-request-id"] == restocks["tags"]["guid:x-request-id"]


async def reports(mesh: MeshUnderTest) -> dict[str, int]:
    """What became of the reports that the buyer's proxy has sent."""
    directory = mesh.runtime / "pods" / "bookbuyer.bookbuyer-0"
    text = (await ask_admin(directory, "/stats?filter=^tracing.zipkin.report"))[1].decode()
    pairs = (line.rpartition(": ") for line in text.splitlines())
    return {name.rpartition(".")[2]: int(count) for name, _, count in pairs}


async def test_a_trace_of_a_sale_is_connected_from_the_buyer_to_the_warehouse(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bookstore(tmp_path)
    (tmp_path / "config.yaml").write_text(settings(enable=False))
    with Collector() as collector:
        spans = collector.spans
        state = tmp_path_factory.mktemp("state")
        async with local_mesh(tmp_path, state, isolation="none") as mesh:
            await mesh.wait_ready(5)
            await asyncio.sleep(2)
            assert spans == []
            assert (await _requests(mesh)) > 0

            mesh.write(
                "config.yaml", settings(enable=True, address="127.0.0.1", port=collector.http_port)
            )
            await mesh.wait_for(lambda: whole_trace(spans) is not None, "a whole trace", within=20)
            found = whole_trace(spans)
            assert found is not None
            check(found)
            known = await reports(mesh)
            assert known["reports_sent"] > 0 and known["reports_dropped"] == 0

            # A collector that is down must not hurt requests, nor one that says no.
            before = await _requests(mesh)
            mesh.write("config.yaml", settings(enable=True, address="127.0.0.1", port=1))
            await mesh.settle()
            await mesh.wait_for(_more(mesh, before + 5), "requests go on", within=20)

            async def dropped() -> bool:
                return (await reports(mesh))["reports_dropped"] > 0

            await mesh.wait_for(dropped, "reports that went nowhere are counted")
            assert not [e for e in mesh.api.view().edges if (e.success_percent or 100) < 100]

            mesh.write("config.yaml", settings(enable=False))
            await mesh.settle()


def _more(mesh: MeshUnderTest, count: int) -> Callable[[], Any]:
    async def enough() -> bool:
        return await _requests(mesh) >= count

    return enough


async def _requests(mesh: MeshUnderTest) -> int:
    """How many requests of the buyer's were answered with 200."""
    directory = mesh.runtime / "pods" / "bookbuyer.bookbuyer-0"
    text = (await ask_admin(directory, "/stats/prometheus?filter=osm.request_total"))[1].decode()
    found = [line for line in text.splitlines() if 'response_code="200"' in line]
    return sum(int(line.rpartition(" ")[2]) for line in found)


async def test_the_default_collector_may_be_a_workload_of_the_mesh(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bookstore(tmp_path)
    (tmp_path / "jaeger.yaml").write_text(COLLECTOR)
    (tmp_path / "config.yaml").write_text(settings(enable=True))
    async with local_mesh(tmp_path, tmp_path_factory.mktemp("state")) as mesh:
        await mesh.wait_ready(6)
        spans: Spans = []

        async def arrived() -> bool:
            connection = await mesh.mesh.dial("osm-system", "jaeger-0", 9411)
            reader, writer = await asyncio.open_connection(sock=connection)
            writer.write(b"GET /spans HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            spans[:] = json.loads((await reader.read(-1)).partition(b"\r\n\r\n")[2])
            writer.close()
            return whole_trace(spans) is not None

        await mesh.wait_for(arrived, "a whole trace", within=20)
        found = whole_trace(spans)
        assert found is not None
        check(found)
        assert not [span for span in spans if "jaeger" in _who(span)]
        assert not [f for f in mesh.api.view().findings if "OSM391" in str(f)]
