"""What a proxy should run, as people read it: all that it asked for, by name, without secrets."""

import json

import msgspec
import pytest

from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm.ads.control_plane import ControlPlane
from osm.ads.expected import expected_resources, redacted
from osm.core.envoy.catalog import Certificate
from osm.core.xds import types
from osm.ports import ExpectedResource
from osm.testing.builders import (
    Part,
    http_group,
    model,
    pod,
    proxy,
    service,
    split,
    target,
    tcp_route,
)

KEY = b"-----BEGIN PRIVATE KEY-----"
HOST = "rds-outbound.80"
MESH: tuple[Part, ...] = (
    pod("buyer"),
    pod("shop", ip="10.0.0.3"),
    service("shop", {"port": 80, "name": "http"}, {"port": 5432, "name": "tcp-db"}),
    service("v1", 80, app="shop", ip="10.1.0.2"),
    split("s", "shop", {"v1": 1}),
    http_group("all", {"name": "all", "pathRegex": "/.*"}),
    tcp_route("db", 5432),
    target("t", "shop", ["buyer"], "HTTPRouteGroup/all"),
    target("u", "shop", ["buyer"], "TCPRoute/db"),
)


def expected(workload: str, **asked: tuple[str, ...]) -> dict[tuple[str, str], ExpectedResource]:
    """What a proxy should run after it asked for names, by the short names of types."""
    found = model(*MESH)
    plane = ControlPlane(found, b"roots")
    who = proxy(found, workload)
    plane.certify(who.identity, Certificate(b"a chain", KEY, "1"))
    session = plane.connect(who)
    for type_url in types.ORDER:
        session.take_request(
            discovery_pb2.DeltaDiscoveryRequest(
                type_url=type_url,
                resource_names_subscribe=asked.get(types.SHORT_NAMES[type_url], ()),
            )
        )
    session.take_responses()
    resources = expected_resources(session, plane.distribution)
    return {(each.type, each.name): each for each in resources}


def test_what_is_its_own_is_expected_without_being_asked_for_by_name() -> None:
    names = expected("shop")
    assert ("LDS", "outbound-listener") in names
    assert ("CDS", "default/shop|80|local") in names
    assert not [name for kind, name in names if kind == "EDS"]


def test_what_was_asked_for_is_expected_as_it_is_sent() -> None:
    asked = ("default/v1|80", "default/nobody|80")
    found = expected("buyer", CDS=asked, EDS=asked, RDS=(HOST,))
    assert ("CDS", "default/nobody|80") not in found
    cluster = found["CDS", "default/v1|80"]
    assert cluster.config["type"] == "EDS"
    assert "@type" not in cluster.config
    assert len(cluster.version) == 16
    endpoints = found["EDS", "default/v1|80"].config["endpoints"]
    assert endpoints[0]["lb_endpoints"][0]["metadata"]["filter_metadata"]["osm"]["pod"] == "shop"


def test_two_names_of_one_thing_are_it_once() -> None:
    names = (f"{HOST}/shop.default", f"{HOST}/shop.default.svc.cluster.local")
    found = expected("buyer", RDS=(HOST,), VHDS=names)
    hosts = [each for (kind, _), each in found.items() if kind == "VHDS"]
    assert len({each.name for each in hosts}) == len(hosts)
    assert all(each.config["name"] == each.name for each in hosts)


def test_every_message_in_what_a_proxy_gets_can_be_read() -> None:
    found = expected(
        "shop", RDS=("rds-inbound.80",), ECDS=("tcp-access.5432",), RTDS=("access",),
        SDS=("service-cert", "root-cert", "tcp-callers.5432"),
    )  # fmt: skip
    kinds = {kind for kind, _ in found}
    assert kinds >= {"CDS", "LDS", "RDS", "ECDS", "RTDS", "SDS"}
    assert msgspec.json.decode(
        msgspec.json.encode(list(found.values())), type=list[ExpectedResource]
    )
    rules = found["ECDS", "tcp-access.5432"].config["typed_config"]
    assert rules["@type"].endswith("network.rbac.v3.RBAC")


def test_a_private_key_is_never_told() -> None:
    found = expected("shop", SDS=("service-cert",))
    secret = found["SDS", "service-cert"].config["tls_certificate"]
    assert secret["certificate_chain"]["inline_bytes"] == "YSBjaGFpbg=="
    assert secret["private_key"] == {"inline_bytes": "W3JlZGFjdGVkXQ=="}
    everything = json.dumps([each.config for each in found.values()])
    assert "LS0tLS1CRUdJTi" not in everything


@pytest.mark.parametrize("field", ["private_key", "password", "generic_secret"])
def test_what_is_secret_is_hidden_wherever_it_stands(field: str) -> None:
    deep = {"a": [{"b": {field: {"inline_string": "hush"}, "c": 1}}], "d": "x"}
    told = redacted(deep)
    assert "hush" not in json.dumps(told)
    assert told["a"][0]["b"]["c"] == 1
    assert told["d"] == "x"
