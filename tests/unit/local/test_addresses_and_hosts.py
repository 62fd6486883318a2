"""Virtual addresses and the private hosts file."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.local.addresses import PODS, SERVICES, NoAddressLeft, assign
from osm.local.hosts import HostedService, render_hosts, with_own_name

NAMES = st.sets(st.text("abcdefgh/-", min_size=1, max_size=12), max_size=40)


@given(NAMES)
def test_every_name_gets_an_address_of_its_own_in_the_network(names: set[str]) -> None:
    assigned = assign(names, IPv4Network("240.0.0.0/26"))
    assert assigned.keys() == names
    assert len(set(assigned.values())) == len(names)
    assert all(IPv4Address(each) in IPv4Network("240.0.0.0/26") for each in assigned.values())


@given(NAMES, NAMES)
def test_an_address_once_held_never_changes_and_is_never_given_away(
    first: set[str], second: set[str]
) -> None:
    held = assign(first, SERVICES)
    later = assign(second, SERVICES, held)
    assert later.items() >= held.items()
    assert assign(second, SERVICES, later) == later


def test_the_address_of_a_name_is_the_same_in_every_mesh() -> None:
    alone = assign(["bookstore/bookstore"], SERVICES)
    among_others = assign(["bookstore/bookstore", "a/b", "c/d"], SERVICES)
    assert alone["bookstore/bookstore"] == among_others["bookstore/bookstore"]
    assert assign(["bookstore/bookstore"], PODS)["bookstore/bookstore"].startswith("241.")


def test_a_full_network_is_an_error_and_not_a_shared_address() -> None:
    with pytest.raises(NoAddressLeft):
        assign("abc", IPv4Network("240.0.0.0/30"))


def test_a_service_has_all_its_names_and_its_short_one_at_home_only() -> None:
    services = [HostedService("bookstore", "bookstore", "240.0.0.1")]
    short = "bookstore.bookstore"
    names = f"{short}.svc.cluster.local {short}.svc.cluster {short}.svc"
    assert f"240.0.0.1 {names} bookstore.bookstore bookstore\n" in render_hosts(
        "bookstore", services
    )
    assert f"240.0.0.1 {names} bookstore.bookstore\n" in render_hosts("bookbuyer", services)


def test_localhost_is_there_for_both_protocols() -> None:
    lines = render_hosts("any", []).splitlines()
    assert "127.0.0.1 localhost" in lines
    assert any(line.startswith("::1 localhost") for line in lines)


def test_a_headless_service_stands_for_its_pods_and_each_pod_has_a_name() -> None:
    pods = (("mysql-0", "241.0.0.1"), ("mysql-1", "241.0.0.2"))
    lines = render_hosts("shop", [HostedService("shop", "mysql", "", pods)]).splitlines()
    by_name = [line.split() for line in lines]
    assert [line[0] for line in by_name if "mysql.shop.svc.cluster.local" in line] == [
        "241.0.0.1",
        "241.0.0.2",
    ]
    assert [line[0] for line in by_name if "mysql-1.mysql.shop.svc.cluster.local" in line] == [
        "241.0.0.2"
    ]
    assert any("mysql-1.mysql" in line for line in by_name)


def test_a_pod_knows_its_own_name() -> None:
    assert with_own_name("127.0.0.1 localhost\n", "241.0.0.9", ["web-0"]).endswith(
        "\n241.0.0.9 web-0\n"
    )
