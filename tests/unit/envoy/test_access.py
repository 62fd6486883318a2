"""Access rules as matchers and gates: what a proxy gets for who may do what."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.envoy.readable import as_tree, as_yaml

from osm._envoy.envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from osm.core.envoy.access import (
    AccessGates,
    HttpAccess,
    TcpAccess,
    build_gates,
    build_tcp_access,
    gate,
    http_access_per_route,
    open_gates,
)
from osm.core.envoy.inbound_routes import InboundRoutes
from osm.core.envoy.matching import quote
from osm.core.envoy.render import origins
from osm.core.model.access import AccessRule
from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch, PathMatch, ValueMatch
from osm.testing.builders import identity

BUYER, THIEF, SHOP = identity("buyer"), identity("thief"), identity("shop")


def rule(number: int, *sources: str, http: HttpMatch | None = None) -> AccessRule:
    origin = Origin("TrafficTarget", "default", "t", f"spec.rules[{number}]")
    return AccessRule(SHOP, tuple(identity(source) for source in sources), origin, http)


def sources_of(per_route: rbac_pb2.RBACPerRoute) -> dict[str, str]:
    """What each caller's decision is: the names of its actions, in order."""
    found = per_route.rbac.matcher.matcher_tree.exact_match_map.map
    return {
        uri: decision.action.name
        or ", ".join(m.on_match.action.name for m in decision.matcher.matcher_list.matchers)
        for uri, decision in sorted(found.items())
    }


def test_each_source_has_its_own_rules_in_order() -> None:
    path = HttpMatch(PathMatch("regex", "/a"))
    access = HttpAccess(
        permissive=False,
        rules=(rule(0, "buyer", http=path), rule(1, "buyer", "thief", http=path)),
    )
    names = "TrafficTarget/default/t/spec.rules[{}]"
    assert sources_of(http_access_per_route(access)) == {
        BUYER.spiffe_id: f"{names.format(0)}, {names.format(1)}",
        THIEF.spiffe_id: names.format(1),
    }


def test_a_rule_for_everything_makes_the_others_of_its_source_needless() -> None:
    path = HttpMatch(PathMatch("regex", "/a"))
    rules = (rule(0, "buyer", http=path), rule(1, "buyer", http=HttpMatch()))
    (only,) = sources_of(http_access_per_route(HttpAccess(permissive=False, rules=rules))).values()
    assert only == "TrafficTarget/default/t/spec.rules[1]"


def test_without_rules_everyone_is_refused() -> None:
    matcher = http_access_per_route(HttpAccess(permissive=False)).rbac.matcher
    assert matcher.on_no_match.action.name == "no-access-rule-for-source"
    assert not matcher.HasField("matcher_tree")


def test_a_rule_that_cannot_be_represented_grants_nothing() -> None:
    query = HttpMatch(query=(ValueMatch("q", "exact", "1"),))
    access = HttpAccess(permissive=False, rules=(rule(0, "buyer", http=query),))
    assert sources_of(http_access_per_route(access)) == {
        BUYER.spiffe_id: "no-access-rule-for-request"
    }


def test_permissive_mode_allows_everyone() -> None:
    matcher = http_access_per_route(HttpAccess(permissive=True)).rbac.matcher
    assert matcher.on_no_match.action.name == "permissive-mode"


def test_a_gate_is_one_callers_and_one_ports() -> None:
    gates = {gate(port, who) for port in (80, 81) for who in (BUYER, THIEF, None)}
    assert len(gates) == 6
    assert gate(80, None) == "osm.tcp.80.any"
    # The name is on running proxies: another one would close connections in an upgrade.
    assert gate(5432, identity("client")) == "osm.tcp.5432.3fc1a18c89518252f188"


@pytest.mark.parametrize(
    ("permissive", "expected"),
    [
        (False, {gate(80, BUYER), gate(80, THIEF)}),
        (True, {gate(80, BUYER), gate(80, THIEF), gate(80, None)}),
    ],
)
def test_gates_are_open_for_who_may_and_stay_open_in_permissive_mode(
    expected: set[str], *, permissive: bool
) -> None:
    access = TcpAccess(
        "tcp-access.80", 80, "cluster.local", permissive, (rule(0, "buyer", "thief"),)
    )
    assert set(open_gates([access])) == expected
    layer = build_gates(AccessGates("access", open_gates([access]))).layer
    assert {key: layer[key] for key in layer} == dict.fromkeys(expected, 100.0)


def test_tcp_access_asks_for_the_gate_of_the_caller_and_names_its_rule() -> None:
    access = TcpAccess(
        "tcp-access.80", 80, "cluster.local", permissive=False, rules=(rule(3, "buyer"),)
    )
    text = as_yaml(as_tree(build_tcp_access(access)))
    assert gate(80, BUYER) in text and "spec.rules[3]" in text
    assert "enforcement_type: CONTINUOUS" in text
    permissive = TcpAccess("tcp-access.80", 80, "cluster.local", permissive=True)
    text = as_yaml(as_tree(build_tcp_access(permissive)))
    assert gate(80, None) in text and r"spiffe://cluster\.local/ns/.*" in text


@given(text=st.text(max_size=12), other=st.text(max_size=12))
def test_a_quoted_text_is_a_regex_that_fits_only_itself(text: str, other: str) -> None:
    text, other = text.replace("\x00", ""), other.replace("\x00", "")
    if not text.isascii():
        text = text.encode("ascii", "ignore").decode()
    quoted = quote(text)
    assert re2.fullmatch(quoted, text)
    if other != text:
        assert not re2.fullmatch(quoted, other)


def test_a_refused_resource_is_the_fault_of_the_objects_it_came_from() -> None:
    match = Origin("HTTPRouteGroup", "default", "g", "spec.matches[0]")
    rules = (rule(0, "buyer", http=HttpMatch()),)
    with_match = AccessRule(SHOP, (BUYER,), rules[0].origin, HttpMatch(), (), match)
    access = HttpAccess(permissive=False, rules=(*rules, with_match))
    assert origins(InboundRoutes("rds-inbound.80", "c", "", access)) == (match, rules[0].origin)
    tcp = TcpAccess("tcp-access.80", 80, "cluster.local", permissive=False, rules=rules)
    assert origins(tcp) == (rules[0].origin,)
    assert origins(AccessGates("access", ())) == ()
