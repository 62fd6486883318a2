"""Which Telemetry counts for whom, and what it says; where spans go."""

import pytest

from osm.core.compile.options import CompileOptions
from osm.core.model.extension import ExtensionServer
from osm.core.model.mesh import Model
from osm.core.model.observation import AccessLog, Tracing
from osm.testing.builders import mesh_config, model, namespace, pod, service
from osm.testing.observation import extension_service, telemetry, tracing

PODS = (
    pod("shop", app="shop", ip="10.0.0.2"),
    pod("client", ip="10.0.0.3"),
    pod("far", namespace="other", app="shop", ip="10.0.0.4"),
)
OTEL = extension_service("otel", "otel.test", 4317, protocol="h2c", connectTimeout="3s")


def who(found: Model) -> dict[str, str]:
    """The Telemetry that counts, by workload."""
    return {name: log.origin.name for (_, name), log in sorted(found.access_logs.items())}


def codes(found: Model) -> list[str]:
    return [finding.code for finding in found.findings]


def log_of(found: Model, name: str = "shop") -> AccessLog:
    return found.access_logs["default", name]


def test_without_any_nothing_is_logged() -> None:
    assert who(model(*PODS)) == {}


def test_a_selector_prevails_over_the_namespace_and_that_over_the_mesh() -> None:
    everybody = telemetry("mesh", namespace="osm-system")
    assert who(model(*PODS, everybody)) == {"client": "mesh", "far": "mesh", "shop": "mesh"}
    ours = telemetry("ours")
    found = model(*PODS, everybody, ours)
    assert who(found) == {"client": "ours", "far": "mesh", "shop": "ours"}
    shops = telemetry("shops", selector={"app": "shop"})
    found = model(*PODS, everybody, ours, shops)
    assert who(found) == {"client": "ours", "far": "mesh", "shop": "shops"}
    assert codes(found) == []


def test_a_selector_must_fit_whole_and_stays_in_its_namespace() -> None:
    found = model(*PODS, telemetry("t", selector={"app": "shop", "tier": "web"}))
    assert who(found) == {} and codes(found) == ["OSM383"]
    found = model(*PODS, telemetry("t", namespace="third", selector={"app": "shop"}))
    assert who(found) == {} and codes(found) == ["OSM383"]
    found = model(*PODS, telemetry("t", namespace="osm-system", selector={"app": "shop"}))
    assert who(found) == {"far": "t", "shop": "t"} and codes(found) == []


def test_the_oldest_of_equal_rank_counts_and_the_others_are_told() -> None:
    old, new = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
    for selector in (None, {"app": "shop"}):
        one = telemetry("a", created=new, selector=selector)
        other = telemetry("b", created=old, selector=selector)
        found = model(*PODS, one, other)
        assert set(who(found).values()) == {"b"}
        (finding,) = found.findings
        assert finding.code == "OSM382" and finding.origin is not None
        assert finding.origin.name == "a" and "Telemetry default/b" in finding.message


def test_the_meshs_namespace_need_not_be_part_of_the_mesh() -> None:
    options = CompileOptions()
    parts = [pod("shop"), telemetry("mesh", namespace="osm-system")]
    assert who(model(*parts, options=options)) == {}
    joined = namespace("default", **{"monitored-by": "osm"})
    assert who(model(*parts, joined, options=options)) == {"shop": "mesh"}
    elsewhere = CompileOptions(namespace="mesh-system")
    assert who(model(*parts, joined, options=elsewhere)) == {}


@pytest.mark.parametrize("text", [None, ""])
def test_without_a_format_it_is_the_default_one(text: str | None) -> None:
    assert log_of(model(*PODS, telemetry("t", text=text))).format == ""


def test_the_format_is_as_written() -> None:
    log = log_of(model(*PODS, telemetry("t", text="%REQ_WITHOUT_QUERY(:PATH)%")))
    assert log.format == "%REQ_WITHOUT_QUERY(:PATH)%" and log.without_query
    assert str(log.origin) == "Telemetry default/t spec.accessLog"
    assert not log_of(
        model(*PODS, telemetry("t", text="%%REQ_WITHOUT_QUERY(:PATH)%%"))
    ).without_query


def test_the_collector_is_where_the_extension_service_says() -> None:
    written = telemetry("t", collector="otel", attributes={"team": "books"})
    found = model(*PODS, OTEL, written)
    log = log_of(found)
    assert log.collector == ExtensionServer("otel.test", 4317, connect_timeout_ns=3 * 10**9)
    assert log.attributes == (("team", "books"),)
    assert codes(found) == []


def test_without_its_extension_service_the_rest_still_works() -> None:
    found = model(*PODS, telemetry("t", collector="other/otel", text="%PROTOCOL%"))
    assert (log_of(found).collector, log_of(found).format) == (None, "%PROTOCOL%")
    (finding,) = found.findings
    assert finding.code == "OSM381" and "other/otel does not exist" in finding.message


def test_open_telemetry_is_not_sent_by_http1() -> None:
    old = extension_service("otel", "otel.test", 4318, protocol="http1")
    found = model(*PODS, old, telemetry("t", collector="otel"))
    assert log_of(found).collector is None and codes(found) == ["OSM384"]


def test_a_collector_that_is_named_as_a_service_must_be_one() -> None:
    inside = extension_service("otel", "otel.default.svc.cluster.local", 4317)
    told = telemetry("t", collector="otel")
    assert codes(model(*PODS, inside, told)) == ["OSM391"]
    tcp = service("otel", {"port": 4317, "appProtocol": "tcp"}, app="shop")
    (finding,) = model(*PODS, inside, told, tcp).findings
    assert finding.code == "OSM391" and "treated as tcp" in finding.message
    grpc = service("otel", {"port": 4317, "appProtocol": "grpc"}, app="shop")
    assert codes(model(*PODS, inside, told, grpc)) == []


def test_spans_go_nowhere_unless_that_is_switched_on() -> None:
    assert model(*PODS).settings.tracing is None
    off = mesh_config(observability={"tracing": {"enable": False, "address": "a.test"}})
    assert model(*PODS, off).settings.tracing is None


def test_spans_go_where_mesh_config_says() -> None:
    found = model(*PODS, tracing("zipkin.test", port=9412, endpoint="/spans"))
    assert found.settings.tracing == Tracing(
        ExtensionServer("zipkin.test", 9412, http2=False), "/spans"
    )
    assert codes(found) == []


def test_spans_go_to_the_collector_of_osm_by_default() -> None:
    found = model(*PODS, tracing(), options=CompileOptions(namespace="mesh-system"))
    assert found.settings.tracing == Tracing(
        ExtensionServer("jaeger.mesh-system.svc.cluster.local", 9411, http2=False), "/api/v2/spans"
    )
    assert codes(model(*PODS, tracing())) == ["OSM391"]  # locally everything is in the mesh
