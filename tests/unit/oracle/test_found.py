"""What the oracle has found: explanations that were wrong, and one configuration."""

import msgspec
import pytest
from tests.unit.oracle.sent_by import sent_by

from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.explain.simulation.call import Call
from osm.core.explain.simulation.walk import from_application
from osm.testing.builders import (
    PERMISSIVE,
    Document,
    Part,
    egress,
    http_group,
    mesh_config,
    model,
    pod,
    service,
    split,
    target,
)

TCP: Document = {"port": 9000, "name": "tcp-x", "targetPort": 9000}
HTTP: Document = {"port": 80, "name": "http-x", "targetPort": 8080}
TOLD = {
    "local.openservicemesh.io/capture": msgspec.json.encode(
        {"ip": "127.0.1.1", "http_port": 15001, "tcp_ports": [["10.0.0.3:9000", 20000]]}
    ).decode()
}
OPEN = mesh_config(traffic={"enableEgress": True})
PODS = (
    pod("client", ip="10.0.0.1"),
    pod("told", ip="10.0.0.2", annotations=TOLD),
    pod("shop-0", app="shop", ip="10.0.0.3", subdomain="shop"),
    pod("shop-1", app="shop", ip="10.0.0.4", subdomain="shop"),
    pod("bank", ip="10.0.0.5"),
)
SHOP = service("shop", HTTP, TCP, ip="10.1.0.1")
PODS_OF_SHOP = service("shop", HTTP, TCP, ip="None")
BANK = service("bank", HTTP, TCP, ip="10.1.0.2")


def only(**match: object) -> tuple[Part, ...]:
    """Access for the client, to what one match says."""
    group = http_group("g", {"name": "m", **match})
    return group, target("t", "shop", ["client"], "HTTPRouteGroup/g")


@pytest.mark.parametrize(
    ("parts", "question", "verdict"),
    [
        pytest.param(
            (SHOP, PERMISSIVE),
            Question("client", "shop", "GET", "/a/..;%00/b"),
            "allowed",
            id="what the parameters of dots hide is no part of the path",
        ),
        pytest.param(
            (SHOP, PERMISSIVE),
            Question("client", "shop", "GET", "/a?b#c"),
            "refused",
            id="a fragment is refused, also behind the query",
        ),
        pytest.param(
            (SHOP, service("shop", 81, namespace="other"), PERMISSIVE),
            Question("client", "shop:81", "GET"),
            "no route",
            id="a name that means something here is not taken for another namespace's",
        ),
        pytest.param(
            (SHOP, OPEN),
            Question("client", "out.test:80"),
            "no route",
            id="with all ways open, no TCP leaves by a port that speaks HTTP in the mesh",
        ),
        pytest.param(
            (OPEN,),
            Question("told", "out.test:9000"),
            "no route",
            id="nothing takes TCP along that is not redirected",
        ),
        pytest.param(
            (
                SHOP,
                service("bank", {**HTTP, "name": "tcp-y"}),
                split("s", "shop", {"bank": 1}),
                PERMISSIVE,
            ),
            Question("client", "shop", "GET"),
            "no endpoints",
            id="a split to what speaks something else",
        ),
        pytest.param(
            (SHOP, service("also", {**TCP, "targetPort": 8080}, app="shop"), PERMISSIVE),
            Question("client", "shop", "GET"),
            "no endpoints",
            id="a port of which another service says something else",
        ),
        pytest.param(
            (SHOP, *only(headers=[{"x-osm-secret": "1"}])),
            Question("client", "shop", "GET", headers=(("x-osm-secret", "1"),)),
            "denied",
            id="access rules do not see the headers of proxies",
        ),
        pytest.param(
            (service("shop", 8080), *only(headers=[{"host": "[a-z]+"}])),
            Question("client", "shop", "GET"),
            "denied",
            id="whoever calls the only port has to write it",
        ),
        pytest.param(
            (egress("e", ["client"], ["http:80"], "192.0.2.7", ranges=["198.51.100.0/24"]),),
            Question("client", "192.0.2.7", "GET"),
            "denied",
            id="an address outside of the ranges",
        ),
        pytest.param(
            (egress("e", ["told"], ["http:80"], "out.test", ranges=["198.51.100.0/24"]),),
            Question("told", "out.test", "GET"),
            "no route",
            id="where nothing is redirected nobody knows the address",
        ),
    ],
)
def test_explanations_are_right(parts: tuple[Part, ...], question: Question, verdict: str) -> None:
    assert explain(model(*PODS, *parts), question).verdict == verdict


def test_tcp_to_a_pod_of_a_split_service_is_split() -> None:
    parts = (PODS_OF_SHOP, BANK, split("s", "shop", {"bank": 1}), PERMISSIVE)
    answer = explain(model(*PODS, *parts), Question("client", "shop-0.shop:9000"))
    assert answer.backends == (("default/bank:9000", 100.0),)


def test_without_redirection_the_address_of_a_pod_leads_to_that_pod() -> None:
    sent = sent_by(model(*PODS, PODS_OF_SHOP, PERMISSIVE))
    answer = from_application(sent, "default/told", Call("127.0.1.1", 20000))
    assert [(e.outcome, e.place) for _, e in answer.shares] == [
        ("forwarded", "default/shop-0:9000")
    ]
