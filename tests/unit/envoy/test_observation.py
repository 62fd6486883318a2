"""What proxies tell of their traffic: to whom, and what stays as it was when nobody asks."""

import pytest
from google.protobuf import json_format

from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.extensions.access_loggers.stream.v3 import stream_pb2
from osm._envoy.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2,
)
from osm.core.envoy.catalog import Catalog
from osm.core.envoy.filters.access_log import request_logs
from osm.core.envoy.observation import Collector, Log, Observation, observation
from osm.core.envoy.render import build
from osm.core.model.groups import POLICY
from osm.core.model.mesh import Model
from osm.core.model.origin import Origin
from osm.core.xds import types
from osm.testing.builders import Part, model, pod, proxy, service
from osm.testing.observation import extension_service, telemetry, tracing

from .asking import catalog_of, value_of

MESH = (
    pod("shop", ip="10.0.0.2"),
    pod("otel", ip="10.0.0.3"),
    service("shop", 80),
    service("otel", {"port": 4317, "appProtocol": "grpc"}, ip="10.1.0.2"),
)
ORIGIN = Origin("Telemetry", "default", "t", "spec.accessLog", POLICY)
Manager = http_connection_manager_pb2.HttpConnectionManager


def clusters(found: Model, workload: str) -> tuple[str, ...]:
    return catalog_of(found).names(proxy(found, workload), types.CLUSTER)


def managers(catalog: Catalog, found: Model, workload: str) -> list[Manager]:
    """The connection managers of all of a proxy's listeners."""
    who = proxy(found, workload)
    managers = []
    for name in catalog.names(who, types.LISTENER):
        value = value_of(catalog, who, types.LISTENER, name)
        assert value is not None
        listener = build(value)
        assert isinstance(listener, listener_pb2.Listener)
        for chain in listener.filter_chains:
            manager = Manager()
            if chain.filters[-1].typed_config.Unpack(manager):
                managers.append(manager)
    return managers


def told(*parts: Part) -> Observation:
    found = model(*MESH, *parts)
    return observation(found, found.workloads["default", "shop"])


def test_a_collector_of_the_mesh_is_reached_by_the_cluster_of_its_service() -> None:
    inside = extension_service("otel", "otel.default", 4317)
    found = model(*MESH, inside, telemetry("t", collector="otel"))
    assert "default/otel|4317" in clusters(found, "shop")
    assert observation(found, found.workloads["default", "shop"]).log == Log(
        ORIGIN, collector=Collector("default/otel|4317", "otel.default:4317")
    )


def test_a_collector_beyond_the_mesh_has_a_cluster_of_its_own() -> None:
    outside = extension_service("otel", "otel.test", 4317, connectTimeout="2s")
    found = model(*MESH, outside, telemetry("t", collector="otel"), tracing("zipkin.test"))
    ours = {"extension|otel.test|4317|h2|2000000000", "extension|zipkin.test|9411|h1|0"}
    assert ours <= set(clusters(found, "shop"))


def test_a_collector_is_not_told_of_what_it_is_told() -> None:
    inside = extension_service("otel", "otel.default.svc.cluster.local", 4317)
    found = model(
        *MESH, inside, telemetry("t", collector="otel"), tracing("otel.default", port=4317)
    )
    its_own = observation(found, found.workloads["default", "otel"])
    assert its_own.log == Log(ORIGIN) and its_own.spans is None


def test_without_anybody_who_asks_requests_have_neither_numbers_nor_spans() -> None:
    for parts, expected in (((), False), ((tracing("zipkin.test"),), True)):
        found = model(*MESH, *parts)
        for manager in managers(catalog_of(found), found, "shop"):
            assert manager.HasField("tracing") == expected
            assert manager.generate_request_id.value == expected
            assert not any("stdout" in log.name for log in manager.access_log)


@pytest.mark.parametrize(
    ("written", "text", "members"),
    [
        ("%PROTOCOL%", "%PROTOCOL%\n", None),
        ("%PROTOCOL%\n", "%PROTOCOL%\n", None),
        (' {"a": {"b": ["%PROTOCOL%", 1, true]}}', None, {"a": {"b": ["%PROTOCOL%", 1, True]}}),
        (f'{{"a": {10**30}}}', None, {"a": str(10**30)}),
    ],
)
def test_a_format_is_a_text_with_a_line_end_or_an_object(
    written: str, text: str | None, members: object
) -> None:
    (log,) = request_logs(Observation(log=Log(ORIGIN, written)))
    on_output = stream_pb2.StdoutAccessLog()
    assert log.typed_config.Unpack(on_output)
    made = on_output.log_format
    assert made.text_format_source.inline_string == (text or "")
    if members is not None:
        assert json_format.MessageToDict(made.json_format) == members


def test_what_proxies_refuse_is_told_to_the_telemetry() -> None:
    assert told(telemetry("t")).origins == (ORIGIN,)
    assert told().origins == ()
