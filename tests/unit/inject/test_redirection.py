"""What is redirected in a pod: OSM's table of decisions, and text that nothing made up gets into."""

from ipaddress import IPv4Address, IPv4Network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.core.inject.redirection import (
    PROXY_PORTS,
    Pass,
    Rule,
    Rules,
    ToPod,
    ToProxy,
    rules_of,
    ruleset,
)
from osm.core.model.redirection import Redirection
from osm.core.model.reserved import reserved_for

IN, OUT, AROUND = ToProxy(15003), ToProxy(15001), Pass()
PLAIN = rules_of(Redirection(), at_pod_ip=False)
LISTS = Redirection(
    outbound_ports=(5432, 6379),
    inbound_ports=(9090,),
    excluded_ranges=("10.1.0.0/16", "192.0.2.7/32"),
    interfaces=("eth1", "net-0"),
)
ALL = rules_of(LISTS, at_pod_ip=False)
ONLY = rules_of(msgspec.structs.replace(LISTS, included_ranges=("10.0.0.0/8",)), at_pod_ip=False)
POD_IP = rules_of(Redirection(), at_pod_ip=True)


class Connection(msgspec.Struct, frozen=True):
    """Of TCP; for one that comes in, `by` and `to` do not matter."""

    port: int
    to: str = "10.9.9.9"
    by: int = 1000
    interface: str = "eth0"
    source: str = "10.9.9.9"


def decided(rules: tuple[Rule, ...], connection: Connection) -> Pass | ToProxy | ToPod:
    """What the kernel would make of the rules."""
    return next((rule.then for rule in rules if fits(rule, connection)), AROUND)


def fits(rule: Rule, connection: Connection) -> bool:
    to = IPv4Address(connection.to)
    return all(
        (
            not rule.interfaces or connection.interface in rule.interfaces,
            not rule.within or any(to in IPv4Network(each) for each in rule.within),
            not rule.beyond or to not in IPv4Network(rule.beyond),
            rule.source in ("", connection.source),
            not rule.ports or connection.port in rule.ports,
            rule.by_proxy is None or rule.by_proxy == (connection.by == 1500),
        )
    )


@pytest.mark.parametrize(
    ("rules", "port", "interface", "then"),
    [
        (PLAIN, 8080, "eth0", IN),
        (PLAIN, 9090, "eth0", IN),
        (PLAIN, 8080, "eth1", IN),
        *((PLAIN, port, "eth0", AROUND) for port in (15010, 15901, 15902, 15903, 15904)),
        (PLAIN, 15000, "eth0", IN),
        (PLAIN, 15001, "eth0", IN),
        (ALL, 8080, "eth0", IN),
        (ALL, 9090, "eth0", AROUND),
        (ALL, 8080, "eth1", AROUND),
        (ALL, 8080, "net-0", AROUND),
        (ALL, 15904, "eth0", AROUND),
        (POD_IP, 8080, "eth0", IN),
    ],
)
def test_what_comes_in(rules: Rules, port: int, interface: str, then: Pass | ToProxy) -> None:
    assert decided(rules.inbound, Connection(port, interface=interface)) == then


@pytest.mark.parametrize(
    ("rules", "connection", "then"),
    [
        (PLAIN, Connection(80), OUT),
        (PLAIN, Connection(80, by=0), OUT),
        (PLAIN, Connection(80, by=1500), AROUND),
        # The application calls itself, whichever address it takes.
        (PLAIN, Connection(80, to="127.0.0.1", interface="lo"), AROUND),
        (PLAIN, Connection(80, to="10.9.9.9", interface="lo"), AROUND),
        # The proxy hands a request to its application, or calls its own pod as a client would.
        (PLAIN, Connection(80, to="127.0.0.1", interface="lo", by=1500), AROUND),
        (PLAIN, Connection(80, to="10.9.9.9", interface="lo", by=1500), IN),
        (POD_IP, Connection(80, to="127.0.0.1", interface="lo", by=1500), ToPod()),
        (POD_IP, Connection(80, interface="lo", by=1500, source="127.0.0.6"), AROUND),
        (PLAIN, Connection(80, interface="lo", by=1500, source="127.0.0.6"), AROUND),
        (POD_IP, Connection(80, to="10.9.9.9", interface="lo", by=1500), IN),
        (POD_IP, Connection(80, to="127.0.0.1", interface="lo"), AROUND),
        (POD_IP, Connection(80), OUT),
        (ALL, Connection(80), OUT),
        (ALL, Connection(5432), AROUND),
        (ALL, Connection(6379), AROUND),
        (ALL, Connection(80, to="10.1.2.3"), AROUND),
        (ALL, Connection(80, to="10.2.2.3"), OUT),
        (ALL, Connection(80, to="192.0.2.7"), AROUND),
        (ALL, Connection(80, to="192.0.2.8"), OUT),
        (ALL, Connection(80, interface="eth1"), AROUND),
        (ALL, Connection(9090), OUT),
        (ONLY, Connection(80, to="10.2.2.3"), OUT),
        (ONLY, Connection(80, to="11.2.2.3"), AROUND),
        (ONLY, Connection(80, to="10.1.2.3"), AROUND),
        (ONLY, Connection(5432, to="10.2.2.3"), AROUND),
    ],
)
def test_what_goes_out(rules: Rules, connection: Connection, then: Pass | ToProxy | ToPod) -> None:
    assert decided(rules.outbound, connection) == then


RANGES = st.builds(
    lambda number, length: str(IPv4Network((number, length), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
PORTS = st.lists(st.integers(1, 65535), max_size=4).map(tuple)


@given(
    st.builds(
        Redirection,
        outbound_ports=PORTS,
        excluded_ranges=st.lists(RANGES, max_size=4).map(tuple),
        included_ranges=st.lists(RANGES, max_size=4).map(tuple),
    ),
    st.ip_addresses(v=4).map(str),
    st.integers(1, 65535),
)
def test_the_rules_say_what_the_model_says(
    redirection: Redirection, address: str, port: int
) -> None:
    """`osm explain` asks the model, and the kernel asks the rules."""
    rules = rules_of(redirection, at_pod_ip=False).outbound
    around = redirection.goes_around(address, port) or address == "127.0.0.1"
    assert (decided(rules, Connection(port, to=address)) == AROUND) == around


def test_nobody_else_may_have_the_ports_of_the_proxy() -> None:
    """Who listens there would be called without mutual TLS, or by nobody."""
    assert [port for port in (15001, 15003, *PROXY_PORTS) if not reserved_for(port)] == []


def test_the_text_for_nft() -> None:
    redirection = msgspec.structs.replace(
        LISTS, included_ranges=("10.0.0.0/8", "10.3.0.0/16", "172.16.0.0/12")
    )
    assert ruleset(rules_of(redirection, at_pod_ip=True)) == (
        """\
add table ip osm
delete table ip osm
table ip osm {
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    meta l4proto tcp tcp dport { 9090 } accept
    meta l4proto tcp iifname { "eth1", "net-0" } accept
    meta l4proto tcp tcp dport { 15010, 15901, 15902, 15903, 15904 } accept
    meta l4proto tcp redirect to :15003
  }
  chain outbound {
    type nat hook output priority -100; policy accept;
    meta l4proto tcp oifname { "lo" } meta skuid 1500 ip saddr 127.0.0.6 accept
    meta l4proto tcp oifname { "lo" } meta skuid 1500 ip daddr { 127.0.0.1/32 } dnat to $(POD_IP)
    meta l4proto tcp oifname { "lo" } meta skuid 1500 ip daddr != 127.0.0.1/32 redirect to :15003
    meta l4proto tcp oifname { "lo" } meta skuid != 1500 accept
    meta l4proto tcp meta skuid 1500 accept
    meta l4proto tcp ip daddr { 127.0.0.1/32 } accept
    meta l4proto tcp oifname { "eth1", "net-0" } accept
    meta l4proto tcp ip daddr { 10.1.0.0/16, 192.0.2.7/32 } accept
    meta l4proto tcp tcp dport { 5432, 6379 } accept
    meta l4proto tcp ip daddr { 10.0.0.0/8, 172.16.0.0/12 } redirect to :15001
  }
}
"""
    )


@pytest.mark.parametrize(
    "hostile",
    [
        Redirection(interfaces=('lo" accept; flush ruleset #',)),
        Redirection(interfaces=("eth0\naccept",)),
        Redirection(interfaces=("e*",)),
        Redirection(interfaces=("",)),
        Redirection(excluded_ranges=("10.0.0.0/8 } accept",)),
        Redirection(included_ranges=("$(POD_IP)/32",)),
        Redirection(excluded_ranges=("fd00::/8",)),
    ],
)
def test_nothing_else_becomes_text(hostile: Redirection) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (its words are of several libraries)
        ruleset(rules_of(hostile, at_pod_ip=False))


def test_the_longest_lists_fit_into_one_argument() -> None:
    """A pod's annotations and MeshConfig may have 1,000 entries each, and 100 interfaces."""
    ports = tuple(range(60_000, 62_000))
    ranges = tuple(f"203.{100 + n // 100}.{100 + n % 100}.101/32" for n in range(2000))
    longest = Redirection(ports, ports, ranges, ranges, tuple(f"eth{n:012}" for n in range(100)))
    text = ruleset(rules_of(longest, at_pod_ip=True))
    assert text.count("203.") == 4000
    assert len(text.encode()) < 128 * 1024
