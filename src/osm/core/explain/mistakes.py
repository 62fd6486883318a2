"""Mistakes in objects that an explanation is about: they may be why something is denied."""

from collections.abc import Iterable, Iterator

from osm.core.explain.explanation import Step
from osm.core.model.identity import Identity
from osm.core.model.mesh import Model
from osm.core.model.origin import Finding, Origin, Severity

_ACCESS_KINDS = {"TrafficTarget", "HTTPRouteGroup", "TCPRoute"}
_MOST = 3


def mistake_steps(
    model: Model, steps: Iterable[Step], denied_by: Iterable[Identity]
) -> Iterator[Step]:
    """Errors in objects that decided, and in access rules beside the workloads that deny it."""
    decided = {_object(origin) for step in steps for origin in step.origins}
    spaces = {identity.namespace for identity in denied_by}
    found = [
        finding
        for finding in model.findings
        if finding.severity is Severity.ERROR and _concerns(finding, decided, spaces)
    ]
    for finding in found[:_MOST]:
        assert finding.origin is not None
        text = f"{finding.origin}: {finding.message} [{finding.code}]"
        yield Step("mistake", "info", text, (finding.origin,))


def _concerns(finding: Finding, decided: set[tuple[str, str, str]], spaces: set[str]) -> bool:
    origin = finding.origin
    if origin is None:
        return False
    if _object(origin) in decided:
        return True
    return origin.kind in _ACCESS_KINDS and origin.namespace in spaces


def _object(origin: Origin) -> tuple[str, str, str]:
    return origin.kind, origin.namespace, origin.name
