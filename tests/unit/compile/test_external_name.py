"""Services of type ExternalName: what an alias stands for, and to where none leads."""

import msgspec
import pytest
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.envoy.egress_resources import egress_cluster_value
from osm.core.envoy.outbound import OutboundListener
from osm.core.envoy.route import OutboundHost
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.model.alias import Alias
from osm.core.model.mesh import Model
from osm.core.model.service import ServiceName
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    Document,
    Part,
    egress,
    mesh_config,
    model,
    namespace,
    pod,
    proxy,
    service,
)

SHOP = (
    pod("client"),
    pod("shop", ip="10.0.0.2", app="shop"),
    service("shop", 80, {"port": 5432, "name": "tcp-db"}, ip="10.1.0.2"),
    pod("web-0", ip="10.0.0.3", app="web", subdomain="web"),
    service("web", 80, ip="None"),
)


def alias(name: str, target: str, *, namespace: str = "default") -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": target},
    }


def found_alias(found: Model, name: str = "other", space: str = "default") -> Alias | None:
    return found.aliases.get(ServiceName(space, name))


def codes(found: Model) -> list[str]:
    return [f.code for f in found.findings if f.code in ("OSM212", "OSM213")]


def host(found: Model, name: str, who: str = "client") -> OutboundHost | None:
    value = value_of(catalog_of(found), proxy(found, who), types.VIRTUAL_HOST, name)
    assert value is None or isinstance(value, OutboundHost)
    return value


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("shop", ServiceName("default", "shop")),
        ("shop.default", ServiceName("default", "shop")),
        ("shop.default.svc", ServiceName("default", "shop")),
        ("shop.default.svc.cluster.local", ServiceName("default", "shop")),
        ("SHOP.default.svc.cluster.local.", ServiceName("default", "shop")),
        ("web-0.web.default.svc.cluster.local", ServiceName("default", "web", "web-0")),
        ("db.example.com", "db.example.com"),
        ("DB.example.com.", "db.example.com"),
        ("shop.elsewhere.svc.cluster.local", "shop.elsewhere.svc.cluster.local"),
        ("shop.away.svc.cluster.local", "shop.away.svc.cluster.local"),
        ("203.0.113.7", "203.0.113.7"),
        ("host.osm.internal", "host.osm.internal"),
    ],
)
def test_an_alias_stands_for_a_service_or_a_host_beyond(
    target: str, expected: ServiceName | str
) -> None:
    away = (namespace("away", ignore="true"), service("shop", 80, namespace="away"))
    found = model(*SHOP, *away, alias("other", target))
    stands_for = found_alias(found)
    assert stands_for is not None and codes(found) == []
    assert (stands_for.service or stands_for.host) == expected
    assert str(stands_for.origin) == "Service default/other spec.externalName"


FORBIDDEN = (
    "127.0.0.1",
    "127.1.2.3",
    "localhost",
    "LOCALHOST.",
    "db.localhost",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "[::1]",
    "fe80::1",
    "169.254.169.254",
    "169.254.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "241.0.0.7",
    "255.255.255.255",
    "127.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.1:15000",
    "http://example.com",
    "a b",
    "$(id)",
    "x\ny",
    "a" * 300,
    "-example.com",
)


@pytest.mark.parametrize("target", FORBIDDEN)
@pytest.mark.parametrize("between", [False, True], ids=["itself", "by another"])
def test_no_alias_leads_to_where_nobody_may_call(target: str, *, between: bool) -> None:
    names = [alias("other", "between" if between else target), alias("between", target)]
    everything = mesh_config(traffic={"enableEgress": True})
    found = model(*SHOP, everything, *names)
    assert found.aliases == {} and codes(found) == ["OSM213", "OSM213"]
    for authority in ("other", "other.default.svc.cluster.local"):
        leading = host(found, f"rds-outbound.80/{authority}")
        # Mesh-wide egress lets it pass to where the application has connected, as any unknown name.
        assert leading is None or leading.rules[0].clusters == (("passthrough-outbound", 1),)


@pytest.mark.parametrize(
    "names",
    [
        [("other", "other")],
        [("other", "other.default.svc.cluster.local")],
        [("other", "b"), ("b", "other")],
        [("other", "b"), ("b", "c"), ("c", "b")],
        [("other", "n1"), *((f"n{i}", f"n{i + 1}") for i in range(1, 300)), ("n300", "other")],
    ],
)
def test_circles_end_and_stand_for_nothing(names: list[tuple[str, str]]) -> None:
    found = model(*SHOP, *(alias(*each) for each in names))
    assert found.aliases == {}
    assert set(codes(found)) == {"OSM212"} and len(codes(found)) == len(names)
    assert host(found, "rds-outbound.80/other") is None


def test_a_chain_is_followed_to_its_end_and_remembered() -> None:
    names = [alias("other", "b.far"), alias("b", "c", namespace="far"),
             alias("c", "shop.default", namespace="far")]  # fmt: skip
    stands_for = found_alias(model(*SHOP, *names))
    assert stands_for is not None
    assert stands_for.service == ServiceName("default", "shop")
    assert stands_for.via == (ServiceName("far", "b"), ServiceName("far", "c"))


def test_calls_to_an_alias_go_to_the_services_ports_and_the_host_stays() -> None:
    found = model(*SHOP, alias("other", "shop"))
    leading = host(found, "rds-outbound.80/other")
    direct = host(found, "rds-outbound.80/shop")
    assert leading is not None and direct is not None
    assert leading.rules == direct.rules
    assert leading.name == "rds-outbound.80/default|other"
    spellings = {d.replace("shop", "other") for d in direct.domains if "shop" in d}
    assert set(leading.domains) == spellings and len(spellings) == 12
    assert host(found, "rds-outbound.80/default|other") == leading
    assert host(found, "rds-outbound.81/other") is None  # a port that the service does not have
    assert host(found, "rds-outbound.5432/other") is None  # one that speaks no HTTP


def test_a_proxy_that_knows_all_names_knows_aliases() -> None:
    eager = {"openservicemesh.io/discovery": "eager"}
    beyond = egress("e", ["client"], ["http:8080"], "db.example.com")
    found = model(
        *SHOP[1:],
        pod("client", annotations=eager),
        alias("other", "shop"),
        alias("db", "db.example.com"),
        beyond,
    )
    names = catalog_of(found).names(proxy(found, "client"), types.VIRTUAL_HOST)
    assert {"rds-outbound.80/default|other", "rds-outbound.8080/db:8080"} <= set(names)
    for name in names:
        if not name.endswith("/*"):
            assert host(found, name) is not None, name


def test_an_alias_of_a_host_beyond_is_open_to_who_may_call_that_host() -> None:
    names = [
        alias("db", "db.example.com"),
        egress("e", ["client"], ["http:8080"], "db.example.com"),
    ]
    found = model(*SHOP, *names)
    leading = host(found, "rds-outbound.8080/db.default:8080")
    assert leading is not None
    assert leading.rules[0].clusters == (("db.example.com:8080", 1),)
    assert leading.domains == ("db.default:8080",)
    value = egress_cluster_value(found, "db.example.com:8080")
    assert value is not None and value.name == "db.example.com:8080"
    assert host(found, "rds-outbound.8080/db", who="shop") is None
    assert host(model(*SHOP, names[0]), "rds-outbound.8080/db") is None
    assert host(found, "rds-outbound.80/db") is None


def test_with_mesh_wide_egress_a_told_proxy_calls_what_the_alias_stands_for() -> None:
    found = model(*SHOP, alias("db", "db.example.com"), mesh_config(traffic={"enableEgress": True}))
    leading = host(found, "rds-outbound/db:8080")
    assert leading is not None and leading.rules[0].clusters == (("db.example.com:8080", 1),)


def test_an_alias_changes_nothing_of_the_service() -> None:
    plain = model(*SHOP)
    with_alias = model(*SHOP, alias("other", "shop"))
    assert with_alias.services == plain.services and with_alias.endpoints == plain.endpoints
    name = "outbound-listener"
    values = [
        value_of(catalog_of(m), proxy(m, "client"), types.LISTENER, name)
        for m in (plain, with_alias)
    ]
    assert isinstance(values[0], OutboundListener) and values[0] == values[1]


def test_an_alias_of_a_namespace_outside_of_the_mesh_is_none() -> None:
    objects: list[Part] = [*SHOP, alias("other", "shop.default", namespace="away"),
                           namespace("away", ignore="true")]  # fmt: skip
    assert model(*objects).aliases == {}
    monitored = msgspec.structs.replace(LOCAL, require_monitored_label=True)
    assert model(*objects, options=monitored).aliases == {}


@pytest.mark.parametrize(
    ("objects", "destination", "verdict", "words"),
    [
        (
            [
                alias("other", "b"),
                alias("b", "shop"),
                mesh_config(traffic={"enablePermissiveTrafficPolicyMode": True}),
            ],
            "other:80",
            "allowed",
            "other is another name for the service default/shop, by default/b; the Host header stays",
        ),
        (
            [alias("db", "db.example.com"), egress("e", ["client"], ["http:80"], "db.example.com")],
            "db:80",
            "allowed",
            "db is another name for the host db.example.com; the Host header stays",
        ),
        (
            [alias("db", "db.example.com")],
            "db:80",
            "no route",
            "db is another name for the host db.example.com; the Host header stays",
        ),
    ],
)
def test_explain_shows_what_a_name_stands_for(
    objects: list[Part], destination: str, verdict: str, words: str
) -> None:
    answer = explain(model(*SHOP, *objects), Question("client", destination, "GET", "/"))
    (step,) = [step for step in answer.steps if step.title == "alias"]
    assert (step.text, step.outcome) == (words, "ok")
    assert str(step.origins[0]).endswith("spec.externalName")
    assert answer.verdict == verdict
