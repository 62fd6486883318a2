"""What is told of services: by themselves, and with the workloads behind them."""

from typing import Any

import pytest
from tests.unit.compile.told import Told, hints, told, words

from osm.core.envoy import names
from osm.core.model.reserved import reserved_for
from osm.testing.builders import Document, Part, pod, service, split

SHOP = pod("shop")
WEB = {"port": 80, "targetPort": 8080, "appProtocol": "http"}


def of_port(port: Document) -> list[Told]:
    return told(SHOP, service("shop", port))


@pytest.mark.parametrize(
    "port",
    [
        {"port": 80},
        {"port": 3306, "appProtocol": "http"},
        {"port": 3306, "name": "tcp-server-first-db"},
        {"port": 443, "name": "tls"},
        {"port": 8080, "name": "grpc-x", "appProtocol": "http2"},
        {"port": 5432, "name": "db", "appProtocol": "tcp"},
        {"port": 80, "targetPort": 14999},
    ],
)
def test_a_port_that_says_what_it_speaks_is_nothing_to_tell(port: Document) -> None:
    assert of_port(port) == []


@pytest.mark.parametrize(
    ("port", "code", "severity", "field"),
    [
        ({"port": 80, "appProtocol": "mongo"}, "OSM201", "warning", "[0].appProtocol"),
        ({"port": 3306}, "OSM208", "warning", "[0]"),
        ({"port": 443, "name": "https"}, "OSM208", "warning", "[0]"),
        ({"port": 80, "targetPort": 6379, "name": "cache"}, "OSM208", "warning", "[0]"),
        ({"port": 80, "name": "http-x", "appProtocol": "tls"}, "OSM211", "warning", "[0]"),
        ({"port": 80, "name": "tcp", "appProtocol": "grpc"}, "OSM211", "warning", "[0]"),
        ({"port": 80, "targetPort": 15003}, "OSM207", "error", "[0].targetPort"),
        ({"port": 80, "targetPort": 15904}, "OSM207", "error", "[0].targetPort"),
        ({"port": 53, "protocol": "UDP"}, "OSM209", "info", "[0].protocol"),
        ({"port": 80, "protocol": "SCTP", "targetPort": 15003}, "OSM209", "info", "[0].protocol"),
        ({"port": 80, "targetPort": "web"}, "OSM204", "error", "[0].targetPort"),
    ],
)
def test_a_port_is_told_once(port: Document, code: str, severity: str, field: str) -> None:
    assert of_port(port) == [(code, severity, f"Service default/shop spec.ports{field}")]


def test_what_is_to_be_written_for_a_known_port_is_said() -> None:
    mysql, kafka = (
        hints("OSM208", SHOP, service("shop", {"port": port}))[0] for port in (3306, 9092)
    )
    assert "`appProtocol: tcp-server-first`" in mysql and "`appProtocol: tcp`" in kafka


def test_the_proxys_own_ports_are_reserved() -> None:
    own = [value for name, value in vars(names).items() if name.endswith("_PORT")]
    assert len(own) == 4 and all(map(reserved_for, own))
    assert not any(map(reserved_for, (80, 14999, 15002, 15905)))


@pytest.mark.parametrize(
    ("parts", "codes"),
    [
        ([service("shop", 80)], ["OSM202"]),
        ([SHOP, service("shop", 80, selector={})], ["OSM202"]),
        ([SHOP, service("shop", 80, selector={"app": "shop", "v": "2"})], ["OSM202"]),
        ([pod("shop", namespace="other"), service("shop", 80)], ["OSM202"]),
        ([service("shop", {"port": 80, "targetPort": "web"})], ["OSM202"]),
        ([pod("shop", ready=False), service("shop", 80)], ["OSM203"]),
        ([pod("shop", ready=False), service("shop", 80, publish_not_ready=True)], []),
        ([pod("shop", ready=False), service("shop", {"port": 80, "targetPort": "x"})], ["OSM204"]),
    ],
)  # fmt: skip
def test_who_stands_behind_a_service_is_told_once(parts: list[Part], codes: list[str]) -> None:
    assert [code for code, _, _ in told(*parts)] == codes


def test_one_that_is_ready_is_enough() -> None:
    one, two = pod("one", app="shop", ready=False), pod("two", app="shop", ip="10.0.0.2")
    assert told(one, two, service("shop", 80)) == []


def test_a_root_whose_calls_go_elsewhere_needs_no_workloads() -> None:
    parts = (pod("v1"), service("v1", 80), service("shop", 80))
    assert [code for code, _, _ in told(*parts)] == ["OSM202"]
    assert told(*parts, split("s", "shop", {"v1": 1})) == []
    half = told(*parts, split("s", "shop", {"v1": 1, "shop": 1}))
    assert [code for code, _, _ in half] == ["OSM314"]


@pytest.mark.parametrize(
    ("ports", "target", "codes"),
    [
        ({}, 8080, []),
        ({"web": 8080}, 8080, []),
        ({"web": 8080}, 8081, ["OSM205"]),
        ({"web": 8080, "more": 8081}, 8081, []),
        ({"web": 8080}, "web", []),
    ],
)
def test_a_number_that_no_container_declares_is_told_where_they_declare_any(
    ports: dict[str, int], target: int | str, codes: list[str]
) -> None:
    port = {"port": 80, "targetPort": target, "appProtocol": "http"}
    assert [code for code, _, _ in told(pod("shop", ports=ports), service("shop", port))] == codes


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_an_injected_proxy_declares_nothing_for_its_pod(place: str) -> None:
    injected: dict[str, Any] = dict(pod("shop"))
    proxy = {"name": "envoy", "ports": [{"name": "proxy-inbound", "containerPort": 15003}]}
    spec = {**injected["spec"], place: [*injected["spec"].get(place, []), proxy]}
    assert told({**injected, "spec": spec}, service("shop", WEB)) == []


@pytest.mark.parametrize(
    ("first", "second", "loses"),
    [
        ("http", "http", ""),
        ("http", "grpc", ""),
        ("tcp", "tls", ""),
        ("http", "tcp", "b"),
        ("tcp", "http", "b"),
        ("grpc", "http", "b"),
    ],
)
def test_one_port_of_a_pod_has_one_protocol(first: str, second: str, loses: str) -> None:
    found = told(
        pod("shop"),
        service("a", WEB | {"appProtocol": first}, app="shop"),
        service("b", WEB | {"appProtocol": second}, app="shop", ip="10.1.0.2"),
    )
    expected = [("OSM206", "warning", f"Service default/{loses} spec.ports[0]")] if loses else []
    assert found == expected


def test_two_ports_of_one_service_may_contradict_each_other_too() -> None:
    other = {"port": 81, "name": "b", "targetPort": 8080, "appProtocol": "tcp"}
    parts = (SHOP, service("shop", WEB | {"name": "a"}, other))
    assert told(*parts) == [("OSM206", "warning", "Service default/shop spec.ports[1]")]
    assert "default/shop:80" in words("OSM206", *parts)[0]


def test_pods_of_different_services_do_not_contradict_each_other() -> None:
    one, two = pod("one"), pod("two", ip="10.0.0.2")
    web, tcp = service("one", WEB), service("two", WEB | {"appProtocol": "tcp"}, ip="10.1.0.2")
    assert told(one, two, web, tcp) == []


def test_stable_names_are_below_a_service_that_exists() -> None:
    member, db = pod("db-0", app="db", subdomain="db"), {"port": 5432, "name": "tcp-db"}
    other = service("database", db, app="db", ip="None")
    assert told(member, other) == [("OSM210", "warning", "Service default/database")]
    assert told(member, other, service("db", db, ip="None")) == []
    assert told(member, service("db", db, ip="None")) == []
    assert told(member, service("database", db, app="db")) == []  # not headless: no names at all
