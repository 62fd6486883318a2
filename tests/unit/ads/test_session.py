"""Sessions of proxies with a control plane, without sockets: requests in, responses out."""

import time
from collections.abc import Mapping

import pytest
from google.protobuf.message import Message
from tests.unit.xds.world import Client

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.config.listener.v3 import listener_pb2
from osm._envoy.envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from osm._envoy.envoy.service.discovery.v3 import discovery_pb2
from osm._envoy.envoy.service.runtime.v3 import rtds_pb2
from osm.ads.control_plane import ControlPlane, Published, Refused
from osm.ads.session import REQUEST, Session
from osm.core.api.manifest import Key
from osm.core.compile.build import Compiler
from osm.core.envoy import names
from osm.core.envoy.catalog import Certificate
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.xds import types
from osm.core.xds.stream_state import Response
from osm.testing.builders import (
    LOCAL,
    PERMISSIVE,
    Part,
    http_group,
    manifests,
    pod,
    proxy,
    service,
    target,
    tcp_route,
)

SHOP: tuple[Part, ...] = (
    pod("buyer"),
    pod("thief", ip="10.0.0.2"),
    pod("shop", ip="10.0.0.3"),
    service("shop", {"port": 80, "name": "http"}, {"port": 5432, "name": "tcp-db"}),
    http_group("all", {"name": "all", "pathRegex": "/.*"}),
    tcp_route("db", 5432),
    target("t", "shop", ["buyer"], "HTTPRouteGroup/all"),
    target("u", "shop", ["buyer"], "TCPRoute/db"),
)


def certificate(chain: str) -> Certificate:
    return Certificate(chain.encode(), b"key", f"version of {chain}")


class Plane:
    """A control plane with what it was told of refusals."""

    def __init__(self, *parts: Part) -> None:
        self.compiler = Compiler(LOCAL)
        self.keys: set[Key] = set()
        self.plane = ControlPlane(self.compiler.model, b"roots")
        self.publish(*(parts or SHOP))
        self.model = self.plane.model
        for workload in self.model.workloads.values():
            account = workload.identity.service_account
            self.plane.certify(workload.identity, certificate(f"chain of {account}"))

    def connect(self, workload: str) -> "Proxy":
        return Proxy(self, self.plane.connect(proxy(self.model, workload)))

    def publish(self, *parts: Part) -> Published:
        """Replace all objects."""
        objects = manifests(*parts)
        keys = {manifest.key for manifest in objects}
        compiled = self.compiler.update(objects, self.keys - keys)
        self.keys = keys
        return self.plane.publish(compiled, trigger="test")

    @property
    def refusals(self) -> tuple[Refused, ...]:
        return self.plane.refusals()


class Proxy:
    def __init__(self, plane: Plane, session: Session) -> None:
        self.plane = plane
        self.session = session
        self.client = Client()
        self.resources: dict[tuple[str, str], bytes] = {}

    def send(self, type_url: str, *wanted: str, **fields: object) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url, resource_names_subscribe=wanted
        )
        for field, value in fields.items():
            if isinstance(value, Message):
                getattr(request, field).CopyFrom(value)
            elif isinstance(value, Mapping):
                getattr(request, field).update(value)
            elif isinstance(value, list):
                getattr(request, field).extend(value)
            else:
                setattr(request, field, value)
        received = self.session.take_request(request)
        if received.refusal is not None:
            self.plane.plane.refused(self.session, received.refusal)

    async def receive(self) -> list[Response]:
        """What is said now; empty when there is nothing."""
        responses = list(self.session.take_responses().responses)
        for response in responses:
            for each in self.client.apply(response.wire).resources:
                self.resources[response.type_url, each.name] = each.resource.value
        return responses

    async def ask(self, type_url: str, *wanted: str, **fields: object) -> list[Response]:
        self.send(type_url, *wanted, **fields)
        return await self.receive()


async def test_a_proxy_gets_its_own_listeners_and_its_own_certificate_and_nobody_elses() -> None:
    plane = Plane()
    shop, buyer = plane.connect("shop"), plane.connect("buyer")
    for each, account in ((shop, "shop"), (buyer, "buyer")):
        await each.ask(types.LISTENER)
        await each.ask(types.SECRET, names.SERVICE_CERTIFICATE, names.ROOT_CERTIFICATES)
        made = each.resources[types.SECRET, names.SERVICE_CERTIFICATE]
        secret = secret_pb2.Secret.FromString(made)
        chain = secret.tls_certificate.certificate_chain.inline_bytes
        assert chain == f"chain of {account}".encode()
    assert set(buyer.client.held[types.LISTENER]) == {"outbound-listener"}
    assert set(shop.client.held[types.LISTENER]) == {"outbound-listener", "inbound-listener"}
    inbound = listener_pb2.Listener.FromString(shop.resources[types.LISTENER, "inbound-listener"])
    assert [chain.name for chain in inbound.filter_chains] == [
        "inbound_80_http",
        "inbound_5432_tcp",
    ]


@pytest.mark.parametrize(
    ("type_url", "name"),
    [
        (types.LISTENER, "inbound-listener"),
        (types.ROUTE, "rds-inbound.80"),
        (types.CLUSTER, "default/shop|80|local"),
        (types.CLUSTER, "default/shop|80|local|h2"),
        (types.EXTENSION, "tcp-access.5432"),
        (types.SECRET, "tcp-callers.5432"),
        (types.SECRET, "spiffe://cluster.local/ns/default/sa/shop"),
        (types.SECRET, "service-cert:shop"),
        (types.RUNTIME, "shop"),
    ],
)
async def test_a_proxy_does_not_get_what_is_anothers_even_if_it_is_held_there(
    type_url: str, name: str
) -> None:
    plane = Plane()
    shop, thief = plane.connect("shop"), plane.connect("thief")
    await shop.ask(type_url, name)
    await thief.ask(type_url, name)
    assert thief.client.held.get(type_url, {}) == {}


async def test_what_a_proxy_says_of_itself_counts_nothing() -> None:
    plane = Plane()
    thief = plane.connect("thief")
    node = base_pb2.Node(id="default/shop", cluster="shop.default")
    node.user_agent_build_version.version.major_number = 1
    node.user_agent_build_version.version.minor_number = 40
    await thief.ask(types.LISTENER, node=node)
    await thief.ask(types.SECRET, names.SERVICE_CERTIFICATE)
    secret = thief.resources[types.SECRET, names.SERVICE_CERTIFICATE]
    assert b"chain of thief" in secret and b"chain of shop" not in secret
    assert "inbound-listener" not in thief.client.held[types.LISTENER]
    assert thief.session.version == "1.40.0"


async def test_gates_are_a_proxys_own() -> None:
    plane = Plane()
    shop, buyer = plane.connect("shop"), plane.connect("buyer")
    for each in (shop, buyer):
        await each.ask(types.RUNTIME, names.RUNTIME_LAYER)
    layer = {
        each: rtds_pb2.Runtime.FromString(each.resources[types.RUNTIME, names.RUNTIME_LAYER]).layer
        for each in (shop, buyer)
    }
    assert len(layer[shop].fields) == 1 and len(layer[buyer].fields) == 0


async def test_a_change_wakes_the_proxies_that_hold_something_of_it_and_no_other() -> None:
    plane = Plane()
    shop, buyer, thief = (plane.connect(name) for name in ("shop", "buyer", "thief"))
    await shop.ask(types.ROUTE, "rds-inbound.80")
    await buyer.ask(types.ENDPOINT, "default/shop|80")
    await thief.ask(types.CLUSTER, "default/shop|80")
    plane.publish(*SHOP, target("v", "shop", ["thief"], "HTTPRouteGroup/all"))
    assert [r.names for r in await shop.receive()] == [("rds-inbound.80",)]
    assert await buyer.receive() == [] and await thief.receive() == []
    plane.publish(*SHOP, pod("shop-2", app="shop", ip="10.0.0.9"))
    names_told = [(r.type_url, r.names) for r in await buyer.receive()]
    assert names_told == [(types.ENDPOINT, ("default/shop|80",))]
    assert await thief.receive() == []


async def test_a_new_certificate_goes_to_the_proxies_of_its_identity() -> None:
    plane = Plane()
    shop, buyer = plane.connect("shop"), plane.connect("buyer")
    for each in (shop, buyer):
        await each.ask(types.SECRET, names.SERVICE_CERTIFICATE)
    identity = shop.session.proxy.identity
    assert plane.plane.certificate(identity)
    published = plane.plane.certify(identity, certificate("new chain"))
    assert (published.built, published.streams) == (1, 1)
    assert len(await shop.receive()) == 1 and await buyer.receive() == []


async def test_an_identity_without_certificate_is_told_so_and_gets_it_later() -> None:
    plane = Plane()
    newcomer = pod("new", ip="10.0.0.8")
    plane.publish(*SHOP, newcomer)
    who = ProxyIdentity(Identity("cluster.local", "default", "new"), "new")
    assert plane.plane.certificate(who.identity) is None
    session = Proxy(plane, plane.plane.connect(who))
    (response,) = await session.ask(types.SECRET, names.SERVICE_CERTIFICATE)
    assert response.removed == (names.SERVICE_CERTIFICATE,)
    plane.plane.certify(who.identity, certificate("chain"))
    (response,) = await session.receive()
    assert response.names == (names.SERVICE_CERTIFICATE,)


async def test_changes_while_a_proxy_is_slow_are_merged_into_the_newest_state() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    await shop.ask(types.ROUTE, "rds-inbound.80")
    for number in range(5):
        plane.publish(*SHOP, target(f"v{number}", "shop", ["thief"], "HTTPRouteGroup/all"))
    plane.publish(*SHOP, PERMISSIVE)
    assert len(await shop.receive()) == 1
    assert b"permissive-mode" in shop.resources[types.ROUTE, "rds-inbound.80"]
    assert await shop.receive() == []


async def test_a_refusal_is_attributed_to_the_objects_that_the_resource_came_from() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    (response,) = await shop.ask(types.ROUTE, "rds-inbound.80")
    error = discovery_pb2.DeltaDiscoveryRequest().error_detail
    error.message = "no such thing"
    await shop.ask(types.ROUTE, response_nonce=response.nonce, error_detail=error)
    (refused,) = plane.refusals
    assert refused.proxy == "default/shop"
    assert refused.refusal.message == "no such thing"
    assert [str(origin) for origin in refused.origins] == [
        "HTTPRouteGroup default/all spec.matches[0] (all)"
    ]
    assert shop.session.stream.types[types.ROUTE].refused == 1
    assert not shop.session.stream.in_sync


async def test_each_refusal_is_counted_and_the_newest_is_told() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    error = discovery_pb2.DeltaDiscoveryRequest().error_detail
    for number in range(15):
        (response,) = await shop.ask(types.ROUTE, "rds-inbound.80")
        error.message = str(number)
        await shop.ask(types.ROUTE, response_nonce=response.nonce, error_detail=error)
    assert [told.refusal.message for told in plane.refusals] == ["14"]
    assert shop.session.stream.types[types.ROUTE].refused == 15


async def test_a_proxy_whose_workload_is_gone_expires_and_gets_nothing_more() -> None:
    plane = Plane()
    thief, buyer = plane.connect("thief"), plane.connect("buyer")
    await thief.ask(types.ENDPOINT, "default/shop|80")
    plane.publish(*(part for part in SHOP if part != SHOP[1]))
    assert thief.session.is_expired and not buyer.session.is_expired
    await thief.receive()
    await thief.ask(types.ENDPOINT, "default/shop|80")
    assert thief.client.held[types.ENDPOINT] == {}
    await buyer.ask(types.ENDPOINT, "default/shop|80")
    assert list(buyer.client.held[types.ENDPOINT]) == ["default/shop|80"]


async def test_of_workloads_that_are_gone_nothing_is_kept() -> None:
    plane = Plane()
    for number in range(3):
        plane.publish(*SHOP, pod(f"gone-{number}", ip="10.0.1.1"))
        plane.model = plane.plane.model
        passing = plane.connect(f"gone-{number}")
        if number % 2:
            plane.plane.disconnect(passing.session)  # others are there still when their pod goes
        plane.publish(*SHOP)
        plane.plane.disconnect(passing.session)
    assert plane.plane._seen == {}


async def test_a_workload_that_changes_its_identity_expires_its_proxy() -> None:
    plane = Plane()
    thief = plane.connect("thief")
    plane.publish(*SHOP[:1], pod("thief", account="honest", ip="10.0.0.2"), *SHOP[2:])
    assert thief.session.is_expired


async def test_a_reconnection_is_counted_and_the_newest_session_is_the_proxys() -> None:
    plane = Plane()
    first = plane.connect("shop")
    second = plane.connect("shop")
    assert not first.session.is_reconnect and second.session.is_reconnect
    assert plane.plane.by_proxy() == {"default/shop": second.session}
    plane.plane.disconnect(second.session)
    assert plane.plane.by_proxy() == {"default/shop": first.session}
    plane.plane.disconnect(first.session)
    assert plane.plane.by_proxy() == {}
    plane.plane.disconnect(first.session)


async def test_after_a_reconnection_only_what_differs_is_sent() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    await shop.ask(types.LISTENER)
    await shop.ask(types.ROUTE, "rds-inbound.80")
    plane.plane.disconnect(shop.session)
    plane.publish(*SHOP, PERMISSIVE)
    again = plane.connect("shop")
    again.client.held = shop.client.held
    for type_url in (types.LISTENER, types.ROUTE):
        held = dict(shop.client.held[type_url])
        wanted = ("*",) if type_url == types.LISTENER else ("rds-inbound.80",)
        again.send(type_url, *wanted, initial_resource_versions=held)
    told = [name for response in await again.receive() for name in response.names]
    assert told == ["rds-inbound.80"]


async def test_dropping_the_wildcard_ends_what_it_brought() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    await shop.ask(types.CLUSTER)
    await shop.ask(types.CLUSTER, resource_names_unsubscribe=["*"])
    published = plane.publish(*SHOP, service("more", 90, app="shop", ip="10.1.0.9"))
    assert published.streams == 0 and await shop.receive() == []


async def test_each_type_tells_what_the_proxy_asked_for_what_it_holds_and_how_it_answered() -> None:
    plane = Plane()
    buyer = plane.connect("buyer")
    now = time.monotonic()
    answer = await buyer.ask(types.ENDPOINT, "default/shop|80", "default/none|1")
    await buyer.ask(types.CLUSTER)
    (status,) = [s for s in buyer.session.type_status(now + 10) if s.type_url == types.ENDPOINT]
    assert (status.subscribed, status.wildcard, status.held) == (2, False, 1)
    assert status.bytes > 50 and status.acknowledged_ago_s is None
    assert status.sent_ago_s is not None and 9 < status.sent_ago_s <= 10
    for response in answer:
        await buyer.ask(types.ENDPOINT, response_nonce=response.nonce)
    clusters, endpoints = buyer.session.type_status(time.monotonic())
    assert clusters.wildcard and clusters.pending == 1
    assert endpoints.pending == 0 and endpoints.sent == endpoints.acknowledged
    assert endpoints.acknowledged_ago_s is not None and endpoints.acknowledged_ago_s < 10


async def test_why_there_is_something_to_say_is_told_by_type_and_merged() -> None:
    plane = Plane()
    shop = plane.connect("shop")
    shop.send(types.ROUTE, "rds-inbound.80")
    shop.send(types.ENDPOINT, "default/shop|80")
    batch = shop.session.take_responses()
    assert {r.type_url: set(batch.why(r.type_url)) for r in batch.responses} == {
        types.ENDPOINT: {REQUEST},
        types.ROUTE: {REQUEST},
    }
    shop.session.mark_changed({types.ROUTE: ["rds-inbound.80"]}, trigger="TrafficTarget")
    shop.session.mark_changed({types.ROUTE: ["rds-inbound.80"]}, trigger="HTTPRouteGroup")
    batch = shop.session.take_responses()
    assert batch.why(types.ROUTE) == {"TrafficTarget", "HTTPRouteGroup"}
    assert batch.responses == () and batch.queued_at <= time.monotonic()
    assert shop.session.take_responses().responses == ()


async def test_looking_at_a_proxys_state_makes_it_hold_nothing_more() -> None:
    plane = Plane()
    buyer = plane.connect("buyer")
    await buyer.ask(types.VIRTUAL_HOST, "rds-outbound.80/shop.default:80", "rds-outbound.80/shop")
    before = plane.plane.distribution.built_total
    first = buyer.session.type_status(0.0)
    plane.publish(*SHOP, service("other", 80, app="shop", ip="10.1.0.7"))
    assert buyer.session.type_status(0.0) == first
    assert plane.plane.distribution.built_total == before
