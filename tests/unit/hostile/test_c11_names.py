"""C11: names that look like other names when they are joined. Identities are compared as structure."""

from random import Random

import pytest

from osm.core.envoy.access import gate
from osm.core.model.access import AccessRule
from osm.core.model.identity import Identity, ProxyIdentity
from osm.core.model.origin import Origin
from osm.core.pki.spiffe import is_well_formed, parse_spiffe_id
from osm.testing.builders import http_group, identity, model, pod, proxy, service, target

PAIRS = 10_000
PIECES = (
    "a", "b", "admin", "prod", "ns", "sa", "proxy", "spiffe", "cluster", "local", "svc", "default",
    "cluster.local", "x-1", "0",
)  # fmt: skip


def random_pairs() -> set[tuple[str, str]]:
    """Namespaces and accounts that differ in where the dots are, more than in anything else."""
    random = Random(11)
    pairs: set[tuple[str, str]] = set()
    while len(pairs) < PAIRS:
        namespace = "-".join(random.choices(PIECES[:8], k=random.randint(1, 3)))
        account = ".".join(random.choices(PIECES, k=random.randint(1, 4)))
        pairs.add((namespace, account))
    return pairs


def test_ten_thousand_accounts_are_ten_thousand_identities() -> None:
    pairs = random_pairs()
    identities = {Identity("cluster.local", *pair) for pair in pairs}
    as_osm_read_them = {tuple(who.dns_name.split(".")[:2]) for who in identities}
    assert len(as_osm_read_them) < PAIRS / 5, "hardly any of them could be confused"
    assert len({who.spiffe_id for who in identities}) == PAIRS
    assert len({gate(80, who) for who in identities}) == PAIRS
    assert all(parse_spiffe_id(who.spiffe_id) == who for who in identities)


CONFUSING = [
    ("evil/admin.prod", "prod/admin"),
    ("a/b.c", "c/a.b"),
    ("default/cluster.local", "local/default"),
    ("ns/sa", "sa/ns"),
    ("a-b/c", "a/b-c"),
    ("default/shop.default.cluster.local", "default/shop"),
    ("default/proxy", "proxy/default"),
    ("x/" + "a" * 253, "x/" + "a" * 252),
    ("n" * 63 + "/a", "n" * 62 + "/a"),
]


@pytest.mark.parametrize(("one", "other"), CONFUSING)
def test_what_one_may_the_other_may_not(one: str, other: str) -> None:
    found = model(
        pod("shop"),
        service("shop", 80),
        http_group("g"),
        target("t", "shop", [one], "HTTPRouteGroup/g"),
    )
    (rule,) = found.access[identity("shop")]
    assert identity(one) in rule.sources
    assert identity(other) not in rule.sources
    assert identity(one).spiffe_id != identity(other).spiffe_id


@pytest.mark.parametrize("account", ["a" * 253, "admin.prod", "cluster.local", "a.b.c.d.e"])
@pytest.mark.parametrize("namespace", ["n" * 63, "cluster", "local"])
def test_every_name_that_kubernetes_takes_can_be_an_identity(namespace: str, account: str) -> None:
    found = model(pod("p" * 253, app="p", namespace=namespace, account=account))
    who = proxy(found, f"{namespace}/{'p' * 253}")
    assert who.identity == Identity("cluster.local", namespace, account)
    assert is_well_formed(who) and is_well_formed(who.identity)
    assert ProxyIdentity.from_spiffe_id(who.spiffe_id) == who


def test_rules_of_different_objects_have_different_names() -> None:
    """Envoy tells by its name which rule has decided."""
    names = {
        AccessRule(identity("shop"), (), Origin("TrafficTarget", namespace, name, field)).name
        for namespace, name in random_pairs()
        for field in ("spec.rules[0]", "spec.rules[1]")
    }
    assert len(names) == 2 * PAIRS
