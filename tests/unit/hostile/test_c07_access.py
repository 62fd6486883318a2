"""C7: access rules with holes in them. Whatever cannot be resolved grants nothing.

Random sets of policies are held against an independent model and real Envoys in `tests/unit/oracle`.
"""

import pytest
from tests.unit.envoy.asking import catalog_of, value_of

from osm.core.api.decode import decode
from osm.core.envoy.access import TcpAccess
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.mesh import Model
from osm.core.xds import types
from osm.testing.builders import (
    Document,
    http_group,
    identity,
    model,
    namespace,
    pod,
    service,
    target,
    tcp_route,
)

MESH = (
    pod("shop"),
    pod("buyer", ip="10.0.0.2"),
    service("shop", {"port": 80, "name": "http-web"}, {"port": 5432, "name": "tcp-db"}),
    http_group("g", {"name": "m", "pathRegex": "/x"}),
    {**http_group("none"), "spec": {"matches": []}},
    tcp_route("r", 5432),
    http_group("elsewhere", namespace="other"),
)
GROUP = "HTTPRouteGroup/g"


def rule(**fields: object) -> Document:
    return {"kind": "HTTPRouteGroup", "name": "g", **fields}


def with_(part: Document, **spec: object) -> Document:
    """The object with parts of its `spec` replaced; None takes one away."""
    old = part["spec"]
    assert isinstance(old, dict)
    kept = {name: value for name, value in {**old, **spec}.items() if value is not None}
    return {**part, "spec": kept}


PLAIN = target("t", "shop", ["buyer"], GROUP)
SHOP = {"kind": "ServiceAccount", "name": "shop", "namespace": "default"}
BUYER = {"kind": "ServiceAccount", "name": "buyer", "namespace": "default"}

REFUSED: list[tuple[str, Document, str]] = [
    ("a destination elsewhere", with_(PLAIN, destination=SHOP | {"namespace": "other"}), "OSM142"),
    ("a destination that is a Service", with_(PLAIN, destination=SHOP | {"kind": "Service"}), "OSM140"),
    ("no destination", with_(PLAIN, destination=None), "OSM110"),
    ("a destination by wildcard", with_(PLAIN, destination=SHOP | {"name": "*"}), "OSM120"),
    ("a source by wildcard", with_(PLAIN, sources=[BUYER | {"name": "*"}]), "OSM120"),
    ("sources of any namespace", with_(PLAIN, sources=[BUYER | {"namespace": "*"}]), "OSM120"),
    ("a source that is a User", with_(PLAIN, sources=[BUYER | {"kind": "User"}]), "OSM140"),
    ("a source that is a Group", with_(PLAIN, sources=[BUYER | {"kind": "Group"}]), "OSM140"),
    ("a source with half a SPIFFE ID", with_(PLAIN, sources=[BUYER | {"name": "a/sa/b"}]), "OSM120"),
    ("a rule of another kind", with_(PLAIN, rules=[rule(kind="UDPRoute")]), "OSM141"),
    ("a match that is no text", with_(PLAIN, rules=[rule(matches=[None])]), "OSM112"),
    ("a misspelt list of matches", with_(PLAIN, rules=[rule(match=["m"])]), "OSM111"),
    ("a misspelt method", http_group("g", {"name": "m", "method": ["GET"]}), "OSM111"),
    ("a port 0", tcp_route("r", 0), "OSM130"),
]  # fmt: skip
GRANT_NOTHING: list[tuple[str, list[Document]]] = [
    ("a group that is missing", [target("t", "shop", ["buyer"], "HTTPRouteGroup/gone")]),
    ("a group of another namespace", [target("t", "shop", ["buyer"], "HTTPRouteGroup/elsewhere")]),
    ("a group without matches", [target("t", "shop", ["buyer"], "HTTPRouteGroup/none")]),
    ("a match that is missing", [target("t", "shop", ["buyer"], "HTTPRouteGroup/g/gone")]),
    ("a route that is missing", [target("t", "shop", ["buyer"], "TCPRoute/gone")]),
    ("a group and a route that is missing", [target("t", "shop", ["buyer"], GROUP, "TCPRoute/gone")]),
    ("a name in another case", [target("t", "shop", ["buyer"], "HTTPRouteGroup/g/M")]),
    ("no rules", [target("t", "shop", ["buyer"])]),
    ("no list of rules", [with_(PLAIN, rules=None)]),
    ("no sources", [target("t", "shop", [], GROUP)]),
    ("no list of sources", [with_(PLAIN, sources=None)]),
    ("a TrafficTarget of an ignored namespace",
     [namespace("default", ignore="true"), PLAIN]),
    ("a destination that nobody runs as", [target("t", "nobody", ["buyer"], GROUP)]),
    ("the same account of another namespace", [target("t", "shop", ["other/buyer"], GROUP)]),
    ("an account with the same joined name", [target("t", "shop", ["fault/buyer.de"], GROUP)]),
    ("a source that is the destination", [target("t", "shop", ["shop"], GROUP)]),
    ("a TrafficTarget of another namespace",
     [target("t", "shop", ["default/buyer"], "HTTPRouteGroup/elsewhere", namespace="other")]),
]  # fmt: skip


def allowed(found: Model, source: Identity) -> set[int]:
    """The ports of the shop that a source may use for anything at all, as its proxy is told."""
    who, catalog = ProxyIdentity(identity("shop"), "shop"), catalog_of(found)
    web = value_of(catalog, who, types.ROUTE, "rds-inbound.80")
    database = value_of(catalog, who, types.EXTENSION, "tcp-access.5432")
    if ("default", "shop") not in found.workloads:
        assert web is None and database is None
        return set()
    assert isinstance(web, InboundRoutes) and isinstance(database, TcpAccess)
    assert not web.access.permissive and not database.permissive
    rules = {80: web.access.rules, 5432: database.rules}
    return {port for port, each in rules.items() if any(source in rule.sources for rule in each)}


def test_what_the_tables_start_from_allows_what_it_says() -> None:
    assert allowed(model(*MESH, PLAIN), identity("buyer")) == {80}
    both = target("t", "shop", ["buyer"], "TCPRoute/r")
    assert allowed(model(*MESH, both), identity("buyer")) == {5432}
    assert allowed(model(*MESH, PLAIN), identity("shop")) == set()


@pytest.mark.parametrize(("part", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_could_mean_more_than_was_meant_is_refused(part: Document, code: str) -> None:
    decoded = decode(part)
    assert decoded.manifest is None
    assert code in {finding.code for finding in decoded.findings}


@pytest.mark.parametrize("parts", [r[1] for r in GRANT_NOTHING], ids=[r[0] for r in GRANT_NOTHING])
def test_what_cannot_be_resolved_grants_nothing(parts: list[Document]) -> None:
    assert allowed(model(*MESH, *parts), identity("buyer")) == set()


@pytest.mark.parametrize("gone", ["HTTPRouteGroup", "TrafficTarget", "Pod"])
def test_what_is_deleted_grants_nothing_any_more(gone: str) -> None:
    """Also a service account: who runs as nobody any more is no destination."""
    parts = [part for part in (*MESH, PLAIN) if part["kind"] != gone]
    assert allowed(model(*parts), identity("buyer")) == set()
