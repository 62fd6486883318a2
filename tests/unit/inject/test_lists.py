"""What pods and MeshConfig exclude, as far as the rules that the kernel gets."""

from collections.abc import Mapping

import pytest

from osm.core.api import exclusions
from osm.core.api.config import TrafficSpec
from osm.core.compile.exclusions import redirection_of
from osm.core.inject.redirection import rules_of, ruleset

POD = {
    exclusions.OUTBOUND_PORTS: "6379, 5432",
    exclusions.INBOUND_PORTS: "9090",
    exclusions.EXCLUDED_RANGES: "10.1.0.0/16",
    exclusions.INCLUDED_RANGES: "10.0.0.0/8",
}
MESH = TrafficSpec(
    outbound_port_exclusion_list=(5432, 3306),
    inbound_port_exclusion_list=(9090, 9091),
    outbound_ip_range_exclusion_list=("10.1.0.0/16", "10.3.0.0/16"),
    outbound_ip_range_inclusion_list=("192.0.2.0/24",),
)


def lines(annotations: Mapping[str, str], traffic: TrafficSpec) -> set[str]:
    """The rules that lists made."""
    rules = rules_of(redirection_of(annotations, traffic), at_pod_ip=False)
    without = rules_of(redirection_of({}, TrafficSpec()), at_pod_ip=False)
    added = set(ruleset(rules).splitlines()) - set(ruleset(without).splitlines())
    return {line.strip().removeprefix("meta l4proto tcp ") for line in added}


def test_only_the_pods_lists() -> None:
    assert lines(POD, TrafficSpec()) == {
        "tcp dport { 5432, 6379 } accept",
        "tcp dport { 9090 } accept",
        "ip daddr { 10.1.0.0/16 } accept",
        "ip daddr { 10.0.0.0/8 } redirect to :15001",
    }


def test_only_the_meshs_lists() -> None:
    assert lines({}, MESH) == {
        "tcp dport { 3306, 5432 } accept",
        "tcp dport { 9090, 9091 } accept",
        "ip daddr { 10.1.0.0/16, 10.3.0.0/16 } accept",
        "ip daddr { 192.0.2.0/24 } redirect to :15001",
    }


def test_both_are_united() -> None:
    assert lines(POD, MESH) == {
        "tcp dport { 3306, 5432, 6379 } accept",
        "tcp dport { 9090, 9091 } accept",
        "ip daddr { 10.1.0.0/16, 10.3.0.0/16 } accept",
        "ip daddr { 10.0.0.0/8, 192.0.2.0/24 } redirect to :15001",
    }


@pytest.mark.parametrize("name", exclusions.CHECKS)
@pytest.mark.parametrize(
    "value",
    ["80;reboot", "$(id)", "80\nflush ruleset", "10.0.0.0/8 } accept", "::/0", "0", "70000", "'"],
)
def test_what_admission_would_have_refused_makes_no_rule(name: str, value: str) -> None:
    assert lines({name: value}, TrafficSpec()) == set()
