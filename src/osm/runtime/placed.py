"""Where findings about known objects stand."""

from collections.abc import Iterable, Mapping

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.core.model.origin import Finding


def placed(findings: Iterable[Finding], objects: Mapping[Key, Manifest]) -> tuple[Finding, ...]:
    """Findings with the `file:line` of their objects, for those whose finder did not know it."""
    return tuple(_placed(finding, objects) for finding in findings)


def _placed(finding: Finding, objects: Mapping[Key, Manifest]) -> Finding:
    origin = finding.origin
    if origin is None or finding.where:
        return finding
    known = objects.get(Key(origin.group, origin.kind, origin.namespace, origin.name))
    return msgspec.structs.replace(finding, where=known.where) if known else finding
