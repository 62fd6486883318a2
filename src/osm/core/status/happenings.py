"""Which findings people must see beside their objects, and in which words: what Events are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from osm.core.api.manifest import Key
from osm.core.model.origin import Finding, Severity
from osm.core.status.refused import REFUSED

EACH = 5
"""So many of one object's findings are told; of the others only how many there are."""
REASONS: Mapping[str, str] = {
    "OSM901": "NotCompiled",
    REFUSED: "ConfigurationRefused",
    "OSM903": "NotBuilt",
    "OSM904": "RootCertificateExpires",
    "OSM905": "CallsUnknownNames",
}
"""Told also of objects that have a status."""
_BY_SEVERITY = {Severity.ERROR: "MeshError", Severity.WARNING: "MeshWarning"}


class Told(msgspec.Struct, frozen=True):
    """What is to be told of one object; `key` is None when it is about the mesh as a whole."""

    key: Key | None
    reason: str
    note: str


def told(
    findings: Mapping[Key | None, Sequence[Finding]], lacks_status: Callable[[Key], bool]
) -> Iterator[Told]:
    """What to tell: errors and warnings of objects without a status, and what `REASONS` names."""
    for key, each in findings.items():
        everything = key is None or lacks_status(key)
        chosen = list(_chosen(each, everything=everything))
        for finding in chosen[:EACH]:
            reason = REASONS.get(finding.code) or _BY_SEVERITY[finding.severity]
            yield Told(key, reason, _note(finding))
        if len(chosen) > EACH:
            more = len(chosen) - EACH
            yield Told(key, "MoreFindings", f"and {more} more: see `osm analyze`")


def _chosen(findings: Iterable[Finding], *, everything: bool) -> Iterator[Finding]:
    for finding in findings:
        if finding.code in REASONS or (everything and finding.severity in _BY_SEVERITY):
            yield finding


def _note(finding: Finding) -> str:
    place = finding.origin.field if finding.origin else ""
    text = f"{place}: {finding.message}" if place else finding.message
    return f"[{finding.code}] {text}"
