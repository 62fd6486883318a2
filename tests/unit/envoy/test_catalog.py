"""Which resource stands behind a name, for whom."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.compile.meshes import meshes
from tests.unit.envoy.asking import all_names, catalog_of, value_of

from osm.core.envoy import names
from osm.core.envoy.catalog import Catalog, Certificate, Present
from osm.core.envoy.cluster import NowhereCluster, ServiceCluster
from osm.core.envoy.endpoint import Endpoints
from osm.core.envoy.inbound import InboundListener
from osm.core.envoy.outbound import OutboundListener
from osm.core.envoy.render import render
from osm.core.envoy.route import OutboundHost
from osm.core.envoy.secret import CertificateSecret, TrustSecret
from osm.core.model.identity import ProxyIdentity
from osm.core.model.service import Protocol
from osm.core.xds import types
from osm.testing.builders import Document, identity, model, pod, proxy, service, split

TYPES = sorted(types.ORDER)
SHOP = (
    pod("client"),
    pod("shop", ip="10.0.0.2"),
    service("shop", {"port": 80, "name": "http", "targetPort": 8080}),
    service("db", {"port": 5432, "name": "tcp-db"}, app="shop", ip="10.1.0.2"),
)


@settings(max_examples=30)
@given(objects=meshes())
def test_proxies_for_whom_a_name_means_the_same_share_what_it_means(
    objects: Sequence[Document],
) -> None:
    found = model(*objects)
    catalog = catalog_of(found)
    proxies = [workload.proxy for workload in found.workloads.values()]
    asked = {named for each in proxies for named in all_names(found, catalog, each)}
    asked |= {(types.SECRET, names.tcp_callers(port)) for port in (80, 81, 5432, 8080)}
    for type_url, name in sorted(asked):
        seen: dict[object, object] = {}
        for each in proxies:
            value = value_of(catalog, each, type_url, name)
            assert seen.setdefault(catalog.scope(each, type_url, name), value) == value, name


@settings(max_examples=20)
@given(objects=meshes())
def test_a_value_renders_under_the_name_that_was_asked_for(objects: Sequence[Document]) -> None:
    found = model(*objects)
    catalog = catalog_of(found)
    for workload in found.workloads.values():
        for type_url in types.WILDCARD_TYPES:
            for name in catalog.names(workload.proxy, type_url):
                assert value_of(catalog, workload.proxy, type_url, name) is not None
        for type_url, name in all_names(found, catalog, workload.proxy):
            value = value_of(catalog, workload.proxy, type_url, name)
            if value is not None:
                resource = render(value)
                assert isinstance(value, OutboundHost) or resource.name == name
                assert render(value) == render(value)


@settings(max_examples=150)
@given(
    type_url=st.sampled_from([*TYPES, "", "type.googleapis.com/other"]),
    name=st.text(max_size=20)
    | st.sampled_from(
        [
            *("rds-outbound.", "rds-outbound.0", "rds-outbound.99999", "rds-outbound.80/", "/"),
            *("rds-inbound.", "rds-inbound.x", "tcp-access.", "10.1.0.1:", ":80", "|", "|local"),
            *("rds-outbound.80/a:b:c", "rds-outbound.80/[::1]:80", "rds-outbound.80/..", "@"),
            *("rds-outbound.80/svc.cluster.local", "rds-outbound.80/a.b.c.d", "rds-outbound.٣"),
        ]
    ),
)
def test_strange_names_have_nothing_behind_them(type_url: str, name: str) -> None:
    found = model(*SHOP)
    catalog = catalog_of(found)
    who = proxy(found, "client")
    value = value_of(catalog, who, type_url, name)
    if value is not None:
        render(value)
    catalog.scope(who, type_url, name)


def test_a_proxy_without_its_workload_gets_nothing() -> None:
    found = model(*SHOP)
    catalog = catalog_of(found)
    strangers = [
        ProxyIdentity(identity("client"), "gone"),
        ProxyIdentity(identity("thief"), "client"),
        ProxyIdentity(identity("other/client"), "client"),
    ]
    for stranger in strangers:
        assert not catalog.is_known(stranger)
        assert catalog.names(stranger, types.LISTENER) == ()
        for type_url, name in all_names(found, catalog, proxy(found, "client")):
            assert value_of(catalog, stranger, type_url, name) is None


@pytest.mark.parametrize(
    ("authority", "port", "found_it"),
    [
        pytest.param("shop", 80, True, id="short"),
        pytest.param("shop:80", 80, True, id="with the port"),
        pytest.param("SHOP.Default", 80, True, id="in any case"),
        pytest.param("shop.default.svc.cluster.local", 80, True, id="whole"),
        pytest.param("shop.default.svc.cluster.local.", 80, True, id="with the root's dot"),
        pytest.param("10.1.0.1", 80, True, id="by address"),
        pytest.param("shop:81", 80, False, id="another port than that of the connection"),
        pytest.param("shop", 8080, False, id="the target port is no port of the service"),
        pytest.param("shop.other", 80, False, id="another namespace"),
        pytest.param("db", 5432, False, id="TCP has no virtual host"),
        pytest.param("shop:http", 80, False, id="no number"),
    ],
)
def test_a_virtual_host_is_found_by_all_names_of_a_service(
    authority: str, port: int, *, found_it: bool
) -> None:
    found = model(*SHOP)
    name = f"rds-outbound.{port}/{authority}"
    value = value_of(catalog_of(found), proxy(found, "client"), types.VIRTUAL_HOST, name)
    assert (value is not None) == found_it
    if found_it:
        assert isinstance(value, OutboundHost)
        assert authority.lower() in value.domains and name.lower() in value.aliases
        assert value.rules[0].clusters == (("default/shop|8080", 1),)


def test_a_cluster_accepts_the_identities_of_its_service_and_no_other() -> None:
    found = model(*SHOP)
    catalog, who = catalog_of(found), proxy(found, "client")
    value = value_of(catalog, who, types.CLUSTER, "default/shop|8080")
    assert isinstance(value, ServiceCluster)
    assert value.identities == (identity("shop"),)
    assert value.sni == "shop.default.svc.cluster.local"
    by_address = value_of(catalog, who, types.CLUSTER, "10.1.0.2:5432")
    assert isinstance(by_address, ServiceCluster)
    assert by_address.protocol is Protocol.TCP
    assert by_address.stat_name == "default/db|5432"


@pytest.mark.parametrize("address", ["10.1.0.1:80", "10.9.9.9:5432", "127.0.0.1:1"])
def test_an_address_that_is_no_tcp_service_leads_nowhere(address: str) -> None:
    found = model(*SHOP)
    value = value_of(catalog_of(found), proxy(found, "client"), types.CLUSTER, address)
    assert value == NowhereCluster(address)


def test_endpoints_by_address_of_a_headless_service_are_the_one_that_was_chosen() -> None:
    found = model(
        pod("db-0", app="db", ip="10.0.0.1"),
        pod("db-1", app="db", ip="10.0.0.2"),
        service("db", {"port": 5432, "name": "tcp-db"}, ip="None"),
    )
    catalog, who = catalog_of(found), proxy(found, "db-0")
    value = value_of(catalog, who, types.ENDPOINT, "10.0.0.2:5432")
    assert isinstance(value, Endpoints)
    assert [member.workload for member in value.members] == ["db-1"]


def test_a_port_has_the_protocol_of_the_first_service_that_has_it() -> None:
    found = model(
        pod("shop"),
        service("a", {"port": 80, "name": "tcp-x", "targetPort": 8080}, app="shop"),
        service("b", {"port": 81, "name": "http", "targetPort": 8080}, app="shop", ip="10.1.0.2"),
    )
    catalog, who = catalog_of(found), proxy(found, "shop")
    value = value_of(catalog, who, types.LISTENER, names.INBOUND_LISTENER)
    assert isinstance(value, InboundListener)
    assert [(port.port, port.is_http) for port in value.ports] == [(8080, False)]
    assert value_of(catalog, who, types.ROUTE, "rds-inbound.8080") is None
    assert value_of(catalog, who, types.EXTENSION, "tcp-access.8080") is not None


def test_the_outbound_listener_knows_ports_and_not_services() -> None:
    one = model(*SHOP)
    more = model(*SHOP, *[service(f"s{i}", 80, app="shop", ip=f"10.1.1.{i}") for i in range(20)])
    listeners = {
        value_of(catalog_of(found), proxy(found, "client"), types.LISTENER, "outbound-listener")
        for found in (one, more)
    }
    (only,) = listeners
    assert isinstance(only, OutboundListener)
    assert only.http_ports == (80,) and only.tcp_exceptions == () and only.tcp_splits == ()


def test_an_endpoint_that_comes_or_goes_touches_endpoints_only() -> None:
    before, after = model(*SHOP), model(*SHOP, pod("shop-2", app="shop", ip="10.0.0.3"))
    who = proxy(before, "client")
    changed = {
        type_url
        for type_url, name in all_names(before, catalog_of(before), who)
        if value_of(catalog_of(before), who, type_url, name)
        != value_of(catalog_of(after), who, type_url, name)
    }
    assert changed == {types.ENDPOINT}


def test_a_weight_touches_the_virtual_host_only() -> None:
    def shop(weight: int) -> Sequence[Document]:
        return (*SHOP, split("s", "shop", {"shop": weight, "gone": 1}))

    before, after = model(*shop(1)), model(*shop(2))
    who = proxy(before, "client")
    changed = {
        type_url
        for type_url, name in all_names(before, catalog_of(before), who)
        if value_of(catalog_of(before), who, type_url, name)
        != value_of(catalog_of(after), who, type_url, name)
    }
    assert changed == {types.VIRTUAL_HOST}


def test_secrets_are_the_proxys_certificate_and_the_roots() -> None:
    found = model(*SHOP)
    catalog = Catalog(
        found, Present({identity("client"): Certificate(b"chain", b"key", "1")}, b"roots")
    )
    who = proxy(found, "client")
    assert value_of(catalog, who, types.SECRET, "service-cert") == CertificateSecret(
        "service-cert", b"chain", b"key", "1"
    )
    assert value_of(catalog, who, types.SECRET, "root-cert") == TrustSecret("root-cert", b"roots")
    assert value_of(catalog, proxy(found, "shop"), types.SECRET, "service-cert") is None
    assert "key" not in repr(value_of(catalog, who, types.SECRET, "service-cert")).replace(
        "_key", ""
    )


def test_explicit_capture_has_a_listener_for_each_known_tcp_address() -> None:
    ports = '[["10.1.0.2:5432", 15432], ["10.1.0.1:80", 1]]'
    capture = f'{{"ip": "127.0.0.2", "http_port": 15001, "tcp_ports": {ports}}}'
    told = pod("told", annotations={"local.openservicemesh.io/capture": capture}, ip="127.0.0.2")
    found = model(*SHOP, told)
    own = catalog_of(found).names(proxy(found, "told"), types.LISTENER)
    assert own == ("outbound-listener", "outbound-listener.10.1.0.2:5432")
