"""Names in certificates of OSM's proxies: which ones are somebody's, and where they are asked for."""

import msgspec
import pytest
import re2
from tests.unit.envoy.asking import catalog_of, rendered, value_of
from tests.unit.envoy.readable import as_tree, as_yaml

from osm._envoy.xds.type.matcher.v3 import matcher_pb2
from osm.core.envoy.access import (
    HttpAccess,
    TcpAccess,
    build_tcp_access,
    gate,
    http_access_per_route,
)
from osm.core.envoy.former import former_name, former_names
from osm.core.envoy.render import build
from osm.core.envoy.tls import any_workload, these_workloads
from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity
from osm.core.model.origin import Origin
from osm.core.model.route import HttpMatch
from osm.core.xds import types
from osm.testing.builders import (
    LOCAL,
    http_group,
    identity,
    model,
    pod,
    proxy,
    service,
    target,
    tcp_route,
)

BUYER, DOTTED = identity("buyer"), identity("a.b")
ORIGIN = Origin("TrafficTarget", "default", "t", "spec.rules[0]")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("buyer.default.cluster.local", Identity("cluster.local", "default", "buyer")),
        ("b-1.n-2.cluster.local", Identity("cluster.local", "n-2", "b-1")),
        ("cluster.local.cluster.local", Identity("cluster.local", "local", "cluster")),
        ("a.b.default.cluster.local", None),
        ("u.sidecar.buyer.default.cluster.local", None),
        ("web.shop.svc.cluster.local", None),
        ("ads.cluster.local", None),
        ("cluster.local", None),
        (".default.cluster.local", None),
        ("buyer..cluster.local", None),
        ("buyer.default.example.org", None),
        ("buyer.default.clusterxlocal", None),
        ("buyer.default.cluster.local.", None),
        ("buyer.defaultcluster.local", None),
        ("", None),
    ],
)
def test_only_two_labels_before_the_trust_domain_are_an_identity(
    name: str, expected: Identity | None
) -> None:
    assert Identity.from_dns_name(name, "cluster.local") == expected
    assert (re2.fullmatch(former_names("cluster.local"), name) is not None) == bool(expected)
    if expected:
        assert former_name(expected) == name


@pytest.mark.parametrize(
    "name",
    [
        "*.default.cluster.local",
        "buyer.*.cluster.local",
        "*.cluster.local",
        "BUYER.default.cluster.local",
        "-a.default.cluster.local",
        "buyer.default.cluster.local,thief.default.cluster.local",
        "thief.default.cluster.local\nbuyer.default.cluster.local",
        "buyer.default.cluster.local\n",
        "buyer.default.cluster.local\0",
    ],
)
def test_what_is_no_label_of_a_kubernetes_name_is_nobodys(name: str) -> None:
    assert re2.fullmatch(former_names("cluster.local"), name) is None


def test_accounts_with_a_dot_in_their_names_have_none() -> None:
    """`a.b` in `c` and `a` in `b.c` would be one name; the second namespace cannot be."""
    assert former_name(DOTTED) == ""
    assert former_name(Identity("cluster.local", "b.c", "a")) == ""
    uris = these_workloads("cluster.local", (DOTTED,), former_proxies=True)
    assert [m.matcher.exact for m in uris] == [DOTTED.spiffe_id]


def test_a_certificates_name_is_compared_and_never_expanded() -> None:
    """Envoy lets a wildcard in a certificate stand for names that a matcher gives as `exact`."""
    for matchers in (
        any_workload("cluster.local", former_proxies=True),
        these_workloads("cluster.local", (BUYER,), former_proxies=True),
    ):
        uri, name = matchers
        assert (uri.san_type, name.san_type) == (uri.URI, name.DNS)
        assert name.matcher.WhichOneof("match_pattern") == "safe_regex"
        assert re2.fullmatch(name.matcher.safe_regex.regex, BUYER.dns_name)
        assert not re2.fullmatch(name.matcher.safe_regex.regex, "*.default.cluster.local")


def test_a_service_that_nobody_serves_accepts_nobody() -> None:
    for former in (False, True):
        (only,) = these_workloads("cluster.local", (), former_proxies=former)
        assert only.matcher.exact == "spiffe://cluster.local/nobody"


def by_name(matcher: matcher_pb2.Matcher) -> matcher_pb2.Matcher:
    """The map that is asked when the first one has nothing, for callers without a URI."""
    (only,) = matcher.on_no_match.matcher.matcher_list.matchers
    assert only.predicate.not_matcher.single_predicate.input.typed_config.type_url.endswith(
        ".UriSanInput"
    )
    return only.on_match.matcher


def test_each_source_has_the_same_rules_by_either_name() -> None:
    rules = (
        AccessRule(identity("shop"), (BUYER, DOTTED), ORIGIN, HttpMatch()),
        AccessRule(identity("shop"), (), ORIGIN, HttpMatch(methods=("GET",)), anyone=True),
    )
    matcher = http_access_per_route(HttpAccess(False, rules, former_proxies=True)).rbac.matcher
    uris = matcher.matcher_tree.exact_match_map.map
    names = by_name(matcher).matcher_tree.exact_match_map.map
    assert set(uris) == {BUYER.spiffe_id, DOTTED.spiffe_id}
    assert set(names) == {BUYER.dns_name}
    assert names[BUYER.dns_name] == uris[BUYER.spiffe_id]
    # Everybody's rule counts for those whom no map names, by whatever name.
    plain = http_access_per_route(HttpAccess(False, rules)).rbac.matcher
    for each in (by_name(matcher), matcher.on_no_match.matcher):
        assert each.on_no_match == plain.on_no_match


def test_a_grant_for_connections_has_one_gate() -> None:
    rules = (AccessRule(identity("shop"), (BUYER,), ORIGIN),)
    for permissive, key in ((False, gate(80, BUYER)), (True, gate(80, None))):
        access = TcpAccess("tcp-access.80", 80, "cluster.local", permissive, rules)
        former = TcpAccess("tcp-access.80", 80, "cluster.local", permissive, rules, True)
        plain, both = (as_yaml(as_tree(build_tcp_access(each))) for each in (access, former))
        assert (plain.count(key), both.count(key)) == (1, 2)
        assert "DnsSanInput" not in plain and "DnsSanInput" in both


def test_a_former_mesh_changes_every_resource_that_knows_identities_and_no_other() -> None:
    objects = (
        pod("client"),
        pod("shop", ip="10.0.0.2"),
        service("shop", 80, {"port": 5432, "name": "tcp-5432"}),
        http_group("all", {"name": "m", "pathRegex": ".*"}),
        tcp_route("line"),
        target("t", "shop", ["client"], "HTTPRouteGroup/all", "TCPRoute/line"),
    )
    plain = model(*objects)
    former = model(*objects, options=msgspec.structs.replace(LOCAL, former_mesh="old"))
    before, after = rendered(plain), rendered(former)
    assert before.keys() == after.keys()
    changed = {
        (who.workload, types.SHORT_NAMES[kind], name)
        for (who, (kind, name)), wire in before.items()
        if wire != after[who, (kind, name)]
    }
    clusters = {"default/shop|80", "default/shop|5432", "10.1.0.1:5432"}
    assert changed == {
        *((workload, "CDS", name) for workload in ("client", "shop") for name in clusters),
        ("shop", "LDS", "inbound-listener"),
        ("shop", "RDS", "rds-inbound.80"),
        ("shop", "ECDS", "tcp-access.5432"),
    }
    callers = "tcp-callers.5432"
    secrets = {
        str(build(value))
        for each in (plain, former)
        if (value := value_of(catalog_of(each), proxy(each, "shop"), types.SECRET, callers))
    }
    assert len(secrets) == 2
