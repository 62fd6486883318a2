"""Global limits of an UpstreamTrafficSetting, and what follows for the server that is asked."""

from typing import Any

import pytest

from osm.core.model.extension import ExtensionServer
from osm.core.model.global_limit import (
    LIMIT_PATH,
    CallerEntry,
    FixedEntry,
    GlobalHttpLimit,
    GlobalTcpLimit,
    HeaderCondition,
    HeaderEntry,
    MatchEntry,
)
from osm.core.model.mesh import Model
from osm.core.model.service import ServiceName
from osm.core.model.upstream import UpstreamLimits
from osm.testing.builders import Document, identity, model, pod, port_name, service, upstream

HOST = "shop.default.svc.cluster.local"
MESH = (
    pod("shop"),
    pod("bank", ip="10.0.0.2"),
    service("shop", 80),
    service("bank", 80, ip="10.1.0.2"),
    pod("limits", namespace="rls", ip="10.0.0.3"),
    service("limits", {"port": 8081, "name": "grpc"}, namespace="rls", ip="10.1.0.3"),
)
FIXED = {"entries": [{"genericKey": {"value": "x"}}]}
BEYOND = "limits.example.org"


def limit_of(host: str, *descriptors: Document, **more: Any) -> Document:
    server = {"host": host, "port": 8081}
    return {"rateLimitService": server, "domain": "d", "descriptors": list(descriptors), **more}


def of_http(host: str, *descriptors: Document, **more: Any) -> Document:
    return {"rateLimit": {"global": {"http": limit_of(host, *descriptors, **more)}}}


def limits(found: Model) -> UpstreamLimits:
    return found.upstreams[ServiceName("default", "shop")]


def codes(found: Model) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_limit_of_requests_is_as_it_was_written() -> None:
    headers = [
        {"name": "A", "exact": "1"},
        {"name": "b", "prefix": "1"},
        {"name": "c", "suffix": "1"},
        {"name": "d", "regex": "1+"},
        {"name": "e", "contains": "1"},
        {"name": "f", "present": True},
        {"name": "g", "present": False},
    ]
    entries = [
        {"genericKey": {"value": "x", "key": "k"}},
        {"genericKey": {"value": "y"}},
        {"remoteAddress": {}},
        {"requestHeader": {"name": "X-User", "key": "user"}},
        {"headerValueMatch": {"value": "z", "headers": headers, "expectMatch": False}},
    ]
    found = model(*MESH, upstream("u", HOST, of_http(BEYOND, {"entries": entries})))
    limit = limits(found).http_everywhere
    assert isinstance(limit, GlobalHttpLimit)
    assert (limit.timeout_ns, limit.fail_open, limit.status, limit.tells_rest) == (
        20_000_000,
        True,
        429,
        False,
    )
    (descriptor,) = limit.descriptors
    assert descriptor[:4] == (
        FixedEntry("k", "x"),
        FixedEntry("generic_key", "y"),
        CallerEntry(),
        HeaderEntry("user", "x-user"),
    )
    kinds = ("exact", "prefix", "suffix", "regex", "contains", "present", "absent")
    values = ("1", "1", "1", "1+", "1", "", "")
    conditions = tuple(map(HeaderCondition, "abcdefg", kinds, values))
    assert descriptor[4] == MatchEntry("header_match", "z", conditions, expected=False)
    assert codes(found) == []


def test_a_limit_of_connections_is_as_it_was_written() -> None:
    written = limit_of(
        BEYOND,
        {"entries": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]},
        timeout="1.5s",
        failOpen=False,
    )
    found = model(*MESH, upstream("u", HOST, {"rateLimit": {"global": {"tcp": written}}}))
    limit = limits(found).tcp_everywhere
    assert isinstance(limit, GlobalTcpLimit)
    assert limit.descriptors == ((("a", "1"), ("b", "2")),)
    assert (limit.timeout_ns, limit.fail_open) == (1_500_000_000, False)
    assert str(limit.origin) == "UpstreamTrafficSetting default/u spec.rateLimit.global.tcp"


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("limits", "limits.default.svc.cluster.local"),
        ("LIMITS.rls.", "limits.rls"),
        ("localhost", "localhost"),
        ("10.1.0.3", "10.1.0.3"),
    ],
)
def test_a_short_name_of_a_server_is_of_the_own_namespace(written: str, host: str) -> None:
    found = model(*MESH, upstream("u", HOST, of_http(written, FIXED)))
    limit = limits(found).http_everywhere
    assert limit is not None and limit.server == ExtensionServer(host, 8081)


def test_a_route_asks_the_server_of_the_host_with_descriptors_of_its_own() -> None:
    route = {"path": ".*", "rateLimit": {"global": {"descriptors": [FIXED]}}}
    spec = {**of_http(BEYOND), "httpRoutes": [route]}
    one = limits(model(*MESH, upstream("u", HOST, spec)))
    assert one.http_everywhere is None
    (limited,) = one.routes
    assert limited.limit is None and limited.everywhere is not None
    assert limited.everywhere.server.host == BEYOND
    assert limited.everywhere.origin.field == "spec.httpRoutes[0].rateLimit.global"


def test_a_server_that_is_asked_nothing_is_told() -> None:
    assert codes(model(*MESH, upstream("u", HOST, of_http(BEYOND)))) == ["OSM374"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("limits.rls.svc.cluster.local", []),
        ("gone.rls.svc.cluster.local", ["OSM391"]),
        ("gone", ["OSM391"]),
        (BEYOND, []),
    ],
)
def test_a_server_that_is_no_service_of_the_mesh_but_is_named_so_is_told(
    host: str, expected: list[str]
) -> None:
    assert codes(model(*MESH, upstream("u", HOST, of_http(host, FIXED)))) == expected


@pytest.mark.parametrize("host", ["limits.rls", "limits.rls.svc.cluster.local", "10.1.0.3"])
def test_those_whose_proxies_ask_may_call_the_server_for_that_and_nothing_else(host: str) -> None:
    found = model(*MESH, upstream("u", HOST, of_http(host, FIXED)))
    (rule,) = found.asked[port_name("rls/limits:8081")]
    assert rule.destination == identity("rls/limits")
    assert rule.sources == (identity("shop"),) and not rule.anyone
    assert rule.http is not None and rule.http.path is not None
    assert (rule.http.methods, rule.http.path.value, rule.ports) == (("POST",), LIMIT_PATH, (8081,))
    assert str(rule.origin) == "UpstreamTrafficSetting default/u spec.rateLimit.global.http"
    assert len(found.asked) == 1


def test_without_a_setting_nobody_may() -> None:
    assert model(*MESH).asked == {}
    assert model(*MESH, upstream("u", HOST, of_http(BEYOND, FIXED))).asked == {}
