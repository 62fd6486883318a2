"""What one Egress or Retry must fulfil beyond its shape.

Where OSM's documentation and its code disagree, the documentation counts (`reference/osm.md` §13).
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from osm.core.api import codes
from osm.core.api.limits import clipped
from osm.core.api.policy import (
    Egress,
    EgressPort,
    Reference,
    Retry,
)
from osm.core.api.problem import Path, Problem
from osm.core.api.retry_on import WITHOUT_LIST, conditions
from osm.core.model.groups import POLICY, SPECS
from osm.core.model.origin import Severity

ROUTE_GROUP = (SPECS, "HTTPRouteGroup")
TRAFFIC_SETTING = (POLICY, "UpstreamTrafficSetting")


def warning(path: Path, code: str, message: str, hint: str = "") -> Problem:
    """A problem that keeps nothing from taking effect."""
    return Problem(path, code, message, hint, Severity.WARNING)


def nothing_granted(path: Path, name: str, kind: str) -> Problem:
    """The problem that an access rule without this list is."""
    return warning(
        (*path, name),
        codes.GRANTS_NOTHING,
        f"without `{name}` this {kind} allows nothing",
        "Add at least one, or delete the object.",
    )


def repeated(items: Sequence[str], path: Path, what: str) -> Iterator[Problem]:
    """Find what stands in a list more than once."""
    for text, count in Counter(items).items():
        if count > 1:
            yield warning(path, codes.TWICE, f"{what} {clipped(text)} stands here {count} times")


def referenced_group(reference: Reference) -> tuple[str, str]:
    """Group and kind of what a reference names; its version means nothing."""
    group, slash, _ = reference.api_group.rpartition("/")
    return (group if slash else reference.api_group), reference.kind


def reference_problems(
    matches: tuple[Reference, ...], kinds: Sequence[tuple[str, str]], path: Path
) -> Iterator[Problem]:
    """Find references to what may not stand here, and those that are repeated."""
    for index, reference in enumerate(matches):
        if referenced_group(reference) not in kinds:
            shown = " or ".join(f"{kind} of {group}" for group, kind in kinds)
            yield Problem(
                (*path, index),
                codes.REFERENCE,
                f"{clipped(reference.kind)} of {clipped(reference.api_group)} cannot stand here",
                f"This may be {shown}.",
            )
    names = [f"{each.kind} {each.name}" for each in matches]
    yield from repeated(names, path, "the reference")


def egress_problems(form: Egress) -> Iterator[Problem]:
    """Hosts, addresses and matches fit the ports' protocols, and something is allowed."""
    spec, path = form.spec, ("spec",)
    protocols = {port.protocol for port in spec.ports}
    for name, given in (("sources", spec.sources), ("ports", spec.ports)):
        if not given:
            yield nothing_granted(path, name, "Egress")
    yield from reference_problems(spec.matches, (ROUTE_GROUP, TRAFFIC_SETTING), ("spec", "matches"))
    settings = [r for r in spec.matches if referenced_group(r) == TRAFFIC_SETTING]
    if len(settings) > 1:
        yield Problem(
            ("spec", "matches"),
            codes.REFERENCE,
            "at most one UpstreamTrafficSetting may be named, and here are several",
            "Divide the Egress, or keep one of them.",
        )
    yield from _egress_host_problems(form, protocols)
    if protocols and "http" not in protocols and len(settings) < len(spec.matches):
        yield warning(
            ("spec", "matches"),
            codes.NO_EFFECT,
            "an HTTPRouteGroup has an effect on ports with protocol http only",
        )
    yield from _egress_port_problems(spec.ports, ("spec", "ports"))
    sources = [f"{source.namespace}/{source.name}" for source in spec.sources]
    yield from repeated(sources, ("spec", "sources"), "the source")
    ranges = [network_text(each) for each in spec.ip_addresses]
    yield from repeated(ranges, ("spec", "ipAddresses"), "the range")


def _egress_host_problems(form: Egress, protocols: set[str]) -> Iterator[Problem]:
    spec, path = form.spec, ("spec", "hosts")
    yield from repeated([h.lower().rstrip(".") for h in spec.hosts], path, "the host")
    if "http" in protocols and not spec.hosts:
        yield warning(
            path,
            codes.GRANTS_NOTHING,
            "without `hosts` no request is allowed on ports with protocol http",
            "Name the hosts, or use protocol tcp with `ipAddresses`.",
        )
    if "http" in protocols:
        for index, host in enumerate(spec.hosts):
            if host.startswith("*."):
                yield Problem(
                    (*path, index),
                    codes.HOST,
                    f"{clipped(host)}: with protocol http a host is looked up, and a wildcard has "
                    "no address",
                    "Name each host. With protocol https wildcards can be used.",
                )
    if spec.hosts and protocols and not protocols & {"http", "https"}:
        yield warning(
            path,
            codes.NO_EFFECT,
            "protocol tcp does not look at `hosts`",
            "Use `ipAddresses`, or protocol http or https.",
        )


def _egress_port_problems(ports: tuple[EgressPort, ...], path: Path) -> Iterator[Problem]:
    protocols: dict[int, set[str]] = {}
    for index, port in enumerate(ports):
        others = protocols.setdefault(port.number, set())
        if port.protocol in others:
            yield warning(
                (*path, index),
                codes.TWICE,
                f"port {port.number} with protocol {port.protocol} stands here more than once",
            )
        elif others and "tcp-server-first" in {port.protocol, *others}:
            yield Problem(
                (*path, index),
                codes.CONTRADICTION,
                f"on port {port.number} the server speaks first, so no other protocol can be told",
                "Keep one of the protocols for this port.",
            )
        others.add(port.protocol)


def retry_problems(form: Retry) -> Iterator[Problem]:
    """There is something to retry, and when to do so can be known."""
    spec = form.spec
    if not spec.destinations:
        yield warning(
            ("spec", "destinations"), codes.NO_EFFECT, "without `destinations` nothing is retried"
        )
    names = [f"{to.namespace}/{to.name}" for to in spec.destinations]
    yield from repeated(names, ("spec", "destinations"), "the destination")
    for condition in conditions(spec.retry_policy.retry_on):
        if condition in WITHOUT_LIST:
            yield warning(
                ("spec", "retryPolicy", "retryOn"),
                codes.NO_EFFECT,
                f"{condition!r} needs a list that a Retry cannot give, and has no effect",
            )
    if spec.retry_policy.num_retries == 0:
        yield warning(
            ("spec", "retryPolicy", "numRetries"),
            codes.NO_EFFECT,
            "0 retries are none: this Retry has no effect",
        )


def convert_egress(form: Egress) -> Egress:
    """The internal form: hosts in lower case without final dot, ranges without host bits."""
    spec = form.spec
    return Egress(
        form.metadata,
        msgspec.structs.replace(
            spec,
            hosts=tuple(dict.fromkeys(host.lower().rstrip(".") for host in spec.hosts)),
            ip_addresses=tuple(dict.fromkeys(network_text(each) for each in spec.ip_addresses)),
            ports=tuple(dict.fromkeys(spec.ports)),
        ),
    )


def network_text(text: str) -> str:
    """A range without host bits."""
    return str(ipaddress.ip_network(text, strict=False))
