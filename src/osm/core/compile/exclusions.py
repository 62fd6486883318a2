"""What goes around a pod's proxy: the pod's annotations and MeshConfig's lists, merged.

They count when a pod is created, as with OSM. What admission would have refused does not count, so that
nothing made up ever becomes a rule.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from osm.core.api import exclusions
from osm.core.api.config import TrafficSpec
from osm.core.api.limits import LONGEST_LIST
from osm.core.model.origin import Severity
from osm.core.model.redirection import Redirection


def redirection_of(annotations: Mapping[str, str], traffic: TrafficSpec) -> Redirection:
    """Merge both, without duplicates."""

    def ports(name: str, more: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted({*map(int, _good(annotations, name)), *more}))

    def ranges(name: str, more: Iterable[str]) -> tuple[str, ...]:
        networks = {IPv4Network(each, strict=False) for each in (*_good(annotations, name), *more)}
        return tuple(str(each) for each in sorted(networks))

    return Redirection(
        outbound_ports=ports(exclusions.OUTBOUND_PORTS, traffic.outbound_port_exclusion_list),
        inbound_ports=ports(exclusions.INBOUND_PORTS, traffic.inbound_port_exclusion_list),
        excluded_ranges=ranges(
            exclusions.EXCLUDED_RANGES, traffic.outbound_ip_range_exclusion_list
        ),
        included_ranges=ranges(
            exclusions.INCLUDED_RANGES, traffic.outbound_ip_range_inclusion_list
        ),
        interfaces=tuple(sorted(set(traffic.network_interface_exclusion_list))),
    )


def _good(annotations: Mapping[str, str], name: str) -> list[str]:
    found = exclusions.entries(annotations.get(name, ""))
    if len(found) > LONGEST_LIST:
        return []
    complaints = map(exclusions.CHECKS[name], found)
    return [
        entry
        for entry, complaint in zip(found, complaints, strict=True)
        if complaint is None or complaint.severity is not Severity.ERROR
    ]
