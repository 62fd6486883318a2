"""The annotations of a pod that say which of its traffic goes around the proxy."""

from collections.abc import Callable, Iterator, Mapping

from osm.core.api import codes
from osm.core.api.hosts import check_ipv4_range, is_everything
from osm.core.api.limits import LONGEST_LIST, clipped
from osm.core.api.problem import Complaint, Path, Problem
from osm.core.model.origin import Severity

_PREFIX = "openservicemesh.io/"
OUTBOUND_PORTS = _PREFIX + "outbound-port-exclusion-list"
INBOUND_PORTS = _PREFIX + "inbound-port-exclusion-list"
EXCLUDED_RANGES = _PREFIX + "outbound-ip-range-exclusion-list"
INCLUDED_RANGES = _PREFIX + "outbound-ip-range-inclusion-list"


def check_port(text: str) -> Complaint | None:
    """A port in decimal digits."""
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536:
        return None
    return Complaint(codes.PORT, f"{clipped(text)} is no port: 1 to 65535", "Write 5432,6379.")


def check_excluded_range(text: str) -> Complaint | None:
    """An IPv4 range that is not everything."""
    complaint = check_ipv4_range(text)
    is_range = complaint is None or complaint.severity is not Severity.ERROR
    if is_range and is_everything(text):
        return Complaint(
            codes.WEAK,
            f"{text!r} is every address: no call would be part of the mesh",
            "Name the ranges that the mesh must leave alone.",
        )
    return complaint


CHECKS: Mapping[str, Callable[[str], Complaint | None]] = {
    OUTBOUND_PORTS: check_port,
    INBOUND_PORTS: check_port,
    EXCLUDED_RANGES: check_excluded_range,
    INCLUDED_RANGES: check_ipv4_range,
}


def entries(text: str) -> tuple[str, ...]:
    """The entries of a list; blanks around them do not count, and an empty list has none."""
    return tuple(part.strip(" ") for part in text.split(",")) if text.strip(" ") else ()


def exclusion_problems(annotations: Mapping[str, str], path: Path) -> Iterator[Problem]:
    """What is wrong with these annotations; the first wrong entry of each. `path` leads to them."""
    for name, check in CHECKS.items():
        found = entries(annotations.get(name, ""))
        place = (*path, name)
        if len(found) > LONGEST_LIST:
            text = f"{len(found)} entries; at most {LONGEST_LIST} are possible"
            yield Problem(place, codes.TOO_LONG, text)
            continue
        complaints = (complaint for entry in found if (complaint := check(entry)) is not None)
        first = next((c for c in complaints if c.severity is Severity.ERROR), None)
        if first is not None:
            yield first.at(place)
