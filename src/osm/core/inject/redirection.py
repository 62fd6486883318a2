"""What sends a pod's traffic through its proxy: rules as data, and as text for `nft`.

OSM's rules, in OSM's order (`reference/osm.md` §6.3): IPv4 and TCP only. The text is one argument of
one program, `nft`, so that no shell ever reads it; and what stands in it is numbers, addresses that were
read as such, and names of interfaces without special characters.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import msgspec

from osm.core.api.limits import check_interface
from osm.core.model.probe import HEALTH_PORT, ProbeKind
from osm.core.model.redirection import PROXY_SOURCE, Redirection

PROXY_USER = 1500
OUTBOUND_PORT = 15001
INBOUND_PORT = 15003
METRICS_PORT = 15010
PROXY_PORTS = (METRICS_PORT, *(kind.port for kind in ProbeKind), HEALTH_PORT)
"""Where the proxy itself is called from outside, by Prometheus and the kubelet."""
_LOOPBACK = "127.0.0.1/32"
_POD_IP = "$(POD_IP)"
"""Kubernetes puts the address here when it starts the container, which has it as a variable."""


class Pass(msgspec.Struct, frozen=True, gc=False):
    """Goes where it was going."""


class ToProxy(msgspec.Struct, frozen=True, gc=False):
    """Arrives at a port of the proxy, which sees where it was going."""

    port: int


class ToPod(msgspec.Struct, frozen=True, gc=False):
    """Goes to the pod's own address, same port."""


class Rule(msgspec.Struct, frozen=True, gc=False):
    """What happens with a TCP connection that fits everything said here."""

    then: Pass | ToProxy | ToPod
    interfaces: tuple[str, ...] = ()
    """By one of these it comes in, or leaves."""
    within: tuple[str, ...] = ()
    """It goes to one of these ranges."""
    beyond: str = ""
    """It goes to none of this range's addresses."""
    source: str = ""
    """It comes from this address."""
    ports: tuple[int, ...] = ()
    by_proxy: bool | None = None
    """Whether the proxy opened it."""


class Rules(msgspec.Struct, frozen=True, gc=False):
    """The first rule that fits decides. What none fits goes where it was going."""

    inbound: tuple[Rule, ...]
    outbound: tuple[Rule, ...]


def rules_of(redirection: Redirection, *, at_pod_ip: bool) -> Rules:
    """The rules of a pod. With `at_pod_ip` (MeshConfig's `localProxyMode: PodIP`), what the proxy hands
    its application at 127.0.0.1, such as probes, goes to the pod's address.
    """
    return Rules(tuple(_inbound(redirection)), tuple(_outbound(redirection, at_pod_ip=at_pod_ip)))


def _inbound(redirection: Redirection) -> Iterator[Rule]:
    if redirection.inbound_ports:
        yield Rule(Pass(), ports=redirection.inbound_ports)
    if redirection.interfaces:
        yield Rule(Pass(), interfaces=redirection.interfaces)
    yield Rule(Pass(), ports=PROXY_PORTS)
    yield Rule(ToProxy(INBOUND_PORT))


def _outbound(redirection: Redirection, *, at_pod_ip: bool) -> Iterator[Rule]:
    loopback = ("lo",)
    # Its own application, called at the pod's address.
    yield Rule(Pass(), interfaces=loopback, source=PROXY_SOURCE, by_proxy=True)
    if at_pod_ip:
        yield Rule(ToPod(), interfaces=loopback, within=(_LOOPBACK,), by_proxy=True)
    # A pod that calls its own service comes in like everybody else.
    yield Rule(ToProxy(INBOUND_PORT), interfaces=loopback, beyond=_LOOPBACK, by_proxy=True)
    yield Rule(Pass(), interfaces=loopback, by_proxy=False)
    yield Rule(Pass(), by_proxy=True)
    yield Rule(Pass(), within=(_LOOPBACK,))
    if redirection.interfaces:
        yield Rule(Pass(), interfaces=redirection.interfaces)
    if redirection.excluded_ranges:
        yield Rule(Pass(), within=redirection.excluded_ranges)
    if redirection.outbound_ports:
        yield Rule(Pass(), ports=redirection.outbound_ports)
    yield Rule(ToProxy(OUTBOUND_PORT), within=redirection.included_ranges)


def ruleset(rules: Rules) -> str:
    """The rules as one transaction of `nft`; a second time it does nothing new.

    Raises ValueError for what is no interface or range, although such is refused long before.
    """
    lines = [
        "add table ip osm",
        "delete table ip osm",
        "table ip osm {",
        *_chain("inbound", "prerouting", "iifname", rules.inbound),
        *_chain("outbound", "output", "oifname", rules.outbound),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _chain(name: str, hook: str, interface: str, rules: tuple[Rule, ...]) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield f"    type nat hook {hook} priority -100; policy accept;"
    for rule in rules:
        yield "    " + " ".join((*_matches(rule, interface), _verdict(rule)))
    yield "  }"


def _matches(rule: Rule, interface: str) -> Iterator[str]:
    yield "meta l4proto tcp"
    if rule.interfaces:
        yield f"{interface} {_set(_quoted(name) for name in rule.interfaces)}"
    if rule.by_proxy is not None:
        yield f"meta skuid {'' if rule.by_proxy else '!= '}{PROXY_USER}"
    if rule.source:
        yield f"ip saddr {IPv4Address(rule.source)}"
    if rule.beyond:
        yield f"ip daddr != {IPv4Network(rule.beyond)}"
    if rule.within:
        networks = collapse_addresses(IPv4Network(each, strict=False) for each in rule.within)
        yield f"ip daddr {_set(str(network) for network in networks)}"
    if rule.ports:
        yield f"tcp dport {_set(f'{port:d}' for port in rule.ports)}"


def _quoted(interface: str) -> str:
    if check_interface(interface):
        raise ValueError(f"{interface!r} is no name of a network interface")
    return f'"{interface}"'


def _set(items: Iterator[str]) -> str:
    return "{ " + ", ".join(items) + " }"


def _verdict(rule: Rule) -> str:
    match rule.then:
        case ToProxy(port=port):
            return f"redirect to :{port:d}"
        case ToPod():
            return f"dnat to {_POD_IP}"
    return "accept"
