"""Identities are structure; SPIFFE IDs and DNS names are ways to write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.model.identity import Identity, ProxyIdentity

SHOP = Identity("cluster.local", "red", "shop")
PARTS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=12)


def test_an_identity_is_written_in_three_ways() -> None:
    assert SHOP.spiffe_id == "spiffe://cluster.local/ns/red/sa/shop"
    assert SHOP.dns_name == "shop.red.cluster.local"
    assert SHOP.short == "red/shop"


def test_identities_that_join_to_one_string_are_not_equal() -> None:
    assert Identity("c", "a.b", "d") != Identity("c", "a", "b.d")
    assert Identity("b.c", "a", "d") != Identity("c", "a.b", "d")


@given(domain=PARTS, namespace=PARTS, account=PARTS, workload=PARTS)
def test_what_is_written_is_read_again(
    domain: str, namespace: str, account: str, workload: str
) -> None:
    identity = Identity(domain, namespace, account)
    proxy = ProxyIdentity(identity, workload)
    assert Identity.from_spiffe_id(identity.spiffe_id) == identity
    assert ProxyIdentity.from_spiffe_id(proxy.spiffe_id) == proxy
    assert Identity.from_spiffe_id(proxy.spiffe_id) is None
    assert ProxyIdentity.from_spiffe_id(identity.spiffe_id) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "spiffe://",
        "cluster.local/ns/red/sa/shop",
        "https://cluster.local/ns/red/sa/shop",
        "spiffe://cluster.local/ns/red/sa/",
        "spiffe://cluster.local/ns//sa/shop",
        "spiffe:///ns/red/sa/shop",
        "spiffe://cluster.local/ns/red/sa/shop/",
        "spiffe://cluster.local/ns/red/sa/shop/more",
        "spiffe://cluster.local/sa/shop/ns/red",
        "spiffe://cluster.local/proxy/red/shop",
        "spiffe://cluster.local/proxy/red//w",
        "spiffe://cluster.local/PROXY/red/shop/w",
    ],
)
def test_other_uris_name_nobody(uri: str) -> None:
    assert Identity.from_spiffe_id(uri) is None
    assert ProxyIdentity.from_spiffe_id(uri) is None


def test_a_proxy_is_called_by_its_workload() -> None:
    assert ProxyIdentity(SHOP, "shop-1").name == "red/shop-1"
