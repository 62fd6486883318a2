"""Which object each finding is about."""

from collections.abc import Container, Iterable, Mapping

from osm.core.api.manifest import Key
from osm.core.api.registry import KINDS
from osm.core.model.groups import CONFIG
from osm.core.model.origin import Finding, Origin

_GROUPS: Mapping[str, str] = {kind.kind: kind.group for kind in reversed(KINDS)}
_CONFIG_KINDS = frozenset(kind.kind for kind in KINDS if kind.group == CONFIG)


def findings_by_object(
    findings: Iterable[Finding], known: Container[Key], own_namespace: str
) -> dict[Key | None, tuple[Finding, ...]]:
    """Findings by object, worst first, each once; those of no object under None.

    MeshConfig may be named without its namespace: it is in the mesh's own.
    """
    found: dict[Key | None, set[Finding]] = {}
    for finding in findings:
        key = None if finding.origin is None else _key(finding.origin, known, own_namespace)
        found.setdefault(key, set()).add(finding)
    return {key: tuple(sorted(each, key=_order)) for key, each in found.items()}


def _key(origin: Origin, known: Container[Key], own_namespace: str) -> Key:
    key = Key(origin.group, origin.kind, origin.namespace, origin.name)
    if key in known:
        return key
    group = origin.group or _GROUPS.get(origin.kind, "")
    namespace = origin.namespace
    if not namespace and group == CONFIG and origin.kind in _CONFIG_KINDS:
        namespace = own_namespace
    return Key(group, origin.kind, namespace, origin.name)


def _order(finding: Finding) -> tuple[int, str, str, str]:
    rank = ("error", "warning", "info").index(finding.severity)
    field = finding.origin.field if finding.origin else ""
    return rank, finding.code, field, finding.message
