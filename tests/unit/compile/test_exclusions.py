"""Which traffic goes around the proxy: annotations and MeshConfig's lists, merged; hostile ones refused."""

import json

import pytest

from osm.core.api import exclusions
from osm.core.api.config import TrafficSpec
from osm.core.api.decode import decode
from osm.core.compile.exclusions import redirection_of
from osm.core.explain.decide import explain
from osm.core.explain.explanation import Question
from osm.core.model.origin import Severity
from osm.core.model.redirection import Redirection
from osm.testing.builders import model, pod, service

PORTS = (exclusions.OUTBOUND_PORTS, exclusions.INBOUND_PORTS)
RANGES = (exclusions.EXCLUDED_RANGES, exclusions.INCLUDED_RANGES)
MANY = ",".join(str(number) for number in range(1, 10_001))

BAD_PORTS = (
    *(
        "0",
        "70000",
        "65536",
        "-1",
        "80;reboot",
        "$(id)",
        "`id`",
        "80 81",
        "80\n443",
        "80,\n",
        "80,",
    ),
    *(
        ",80",
        "80,,443",
        "0x50",
        "8e1",
        "80.0",
        "http",
        "80-90",
        "80:90",
        "\u0668\u0660",
        "80\t",
        "*",
    ),
    *("80 -j ACCEPT", "80' || reboot '", "9" * 400, MANY),
)
BAD_RANGES = (
    *(
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.256/32",
        "::/0",
        "fd00::/8",
        "::ffff:10.0.0.0/104",
    ),
    *("10.0.0.0/8;reboot", "$(id)", "10.0.0.0/8\n", "lo -j ACCEPT", "10.0.0.0/8,", "example.com/8"),
    *("10.0.0.0/ 8", "10.0.0.0/-1", "0x0a000000/8", "\u0661.0.0.0/8", "1" * 300 + "/8"),
    ",".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(10_000)),
)


def refusals(name: str, value: str) -> list[str]:
    """The codes for which a pod with this annotation is refused."""
    found = decode(pod("web", annotations={name: value}))
    return [f.code for f in found.findings if f.severity is Severity.ERROR]


@pytest.mark.parametrize("value", BAD_PORTS)
@pytest.mark.parametrize("name", PORTS)
def test_hostile_ports_are_refused_and_become_no_rule(name: str, value: str) -> None:
    assert len(refusals(name, value)) == 1
    allowed = {int(part) for part in value.split(",") if part in ("80", "443")}
    found = redirection_of({name: value}, TrafficSpec())
    assert {*found.outbound_ports, *found.inbound_ports} <= allowed
    assert found.excluded_ranges == found.included_ranges == ()


@pytest.mark.parametrize("value", BAD_RANGES)
@pytest.mark.parametrize("name", RANGES)
def test_hostile_ranges_are_refused_and_become_no_rule(name: str, value: str) -> None:
    assert len(refusals(name, value)) == 1
    found = redirection_of({name: value}, TrafficSpec())
    assert {*found.excluded_ranges, *found.included_ranges} <= {"10.0.0.0/8"}
    assert found.outbound_ports == found.inbound_ports == ()


def test_everything_cannot_be_excluded_but_included() -> None:
    assert len(refusals(exclusions.EXCLUDED_RANGES, "0.0.0.0/0")) == 1
    assert refusals(exclusions.INCLUDED_RANGES, "0.0.0.0/0") == []
    assert not redirection_of({exclusions.EXCLUDED_RANGES: "0.0.0.0/0"}, TrafficSpec()).lets_out


def test_lists_are_merged_without_duplicates() -> None:
    traffic = TrafficSpec(
        outbound_port_exclusion_list=(6379, 80),
        inbound_port_exclusion_list=(9090,),
        outbound_ip_range_exclusion_list=("10.1.2.3/32", "1.1.1.1/32"),
        outbound_ip_range_inclusion_list=("172.16.0.0/12",),
        network_interface_exclusion_list=("eth1", "eth0", "eth1"),
    )
    annotations = {
        exclusions.OUTBOUND_PORTS: "80, 5432 ,80",
        exclusions.INBOUND_PORTS: "",
        exclusions.EXCLUDED_RANGES: " 1.1.1.1/32,10.0.0.7/8",
        exclusions.INCLUDED_RANGES: "172.16.0.0/12",
    }
    assert [refusals(name, value) for name, value in annotations.items()] == [[]] * 4
    assert redirection_of(annotations, traffic) == Redirection(
        outbound_ports=(80, 5432, 6379),
        inbound_ports=(9090,),
        excluded_ranges=("1.1.1.1/32", "10.0.0.0/8", "10.1.2.3/32"),
        included_ranges=("172.16.0.0/12",),
        interfaces=("eth0", "eth1"),
    )
    assert redirection_of({}, TrafficSpec()) == Redirection()


@pytest.mark.parametrize(
    ("redirection", "address", "port", "expected"),
    [
        (Redirection(), "10.0.0.1", 80, False),
        (Redirection(outbound_ports=(80,)), "10.0.0.1", 80, True),
        (Redirection(outbound_ports=(80,)), "10.0.0.1", 81, False),
        (Redirection(inbound_ports=(80,)), "10.0.0.1", 80, False),
        (Redirection(excluded_ranges=("10.0.0.0/8",)), "10.9.9.9", 80, True),
        (Redirection(excluded_ranges=("10.0.0.0/8",)), "11.0.0.0", 80, False),
        (Redirection(included_ranges=("10.0.0.0/8",)), "10.9.9.9", 80, False),
        (Redirection(included_ranges=("10.0.0.0/8",)), "11.0.0.0", 80, True),
        (Redirection((80,), (), ("10.1.0.0/16",), ("10.0.0.0/8",)), "10.1.0.1", 81, True),
        (Redirection((80,), (), ("10.1.0.0/16",), ("10.0.0.0/8",)), "10.2.0.1", 80, True),
        (Redirection((80,), (), ("10.1.0.0/16",), ("10.0.0.0/8",)), "10.2.0.1", 81, False),
    ],
)
def test_exclusion_comes_before_inclusion(
    redirection: Redirection,
    address: str,
    port: int,
    expected: bool,  # noqa: FBT001
) -> None:
    assert redirection.goes_around(address, port) is expected


def around(**lists: object) -> dict[str, str]:
    """The annotation with which the local platform tells what it has merged."""
    return {"local.openservicemesh.io/redirection": json.dumps(lists)}


@pytest.mark.parametrize(
    ("caller", "callee", "destination", "verdict"),
    [
        ({}, {}, "shop:80", "denied"),
        ({"outbound_ports": [81]}, {}, "shop:80", "denied"),
        ({"outbound_ports": [80]}, {}, "shop:80", "refused"),
        ({"outbound_ports": [80]}, {"inbound_ports": [8080]}, "shop:80", "allowed"),
        ({"outbound_ports": [80]}, {"inbound_ports": [80]}, "shop:80", "refused"),
        ({"excluded_ranges": ["10.1.0.0/16"]}, {"inbound_ports": [8080]}, "shop:80", "allowed"),
        ({"included_ranges": ["10.1.0.0/16"]}, {"inbound_ports": [8080]}, "shop:80", "denied"),
        ({"outbound_ports": [5432]}, {}, "db.example.com:5432", "allowed"),
        ({"excluded_ranges": ["203.0.113.0/24"]}, {}, "203.0.113.9:5432", "allowed"),
        ({"excluded_ranges": ["203.0.113.0/24"]}, {}, "203.0.114.9:5432", "no route"),
    ],
)
def test_explain_knows_what_goes_around_the_proxy(
    caller: dict[str, object], callee: dict[str, object], destination: str, verdict: str
) -> None:
    found = model(
        pod("client", annotations=around(**caller)),
        pod("shop", ip="10.0.0.2", annotations=around(**callee)),
        service("shop", {"port": 80, "name": "http", "targetPort": 8080}, ip="10.1.0.2"),
    )
    method = "GET" if destination == "shop:80" else ""
    answer = explain(found, Question("client", destination, method, "/" if method else ""))
    assert answer.verdict == verdict
    shown = [step.title for step in answer.steps]
    assert ("around" in shown) == (verdict in ("allowed", "refused"))
