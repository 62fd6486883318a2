"""All checks, in their order, and what comes out of them."""

from collections.abc import Iterator

from osm.core.check import cluster, control_plane, data_plane, meshes, take_over
from osm.core.check.facts import Facts
from osm.core.check.outcome import Check, Group, Result, State

GROUPS: tuple[Group, ...] = (
    cluster.API,
    cluster.VERSION,
    cluster.PERMISSIONS,
    cluster.NODES,
    meshes.MESHES,
    control_plane.CONTROL_PLANE,
    meshes.KINDS,
    control_plane.WEBHOOKS,
    control_plane.CERTIFICATES,
    data_plane.NAMESPACES,
    data_plane.PROXIES,
    take_over.TAKE_OVER,
)
PAGE = "docs/reference/check.md"


def run_checks(facts: Facts, *, before: bool) -> tuple[Result, ...]:
    """Make the checks for before an installation, or for after it. One that is fatal is the last."""
    return tuple(_results(facts, before=before))


def _results(facts: Facts, *, before: bool) -> Iterator[Result]:
    for group in GROUPS:
        if not group.applies(facts):
            continue
        for check in group.checks:
            if not (check.before if before else check.after):
                continue
            result = _result(group, check, facts)
            yield result
            if check.fatal and result.state == State.ERROR:
                return


def _result(group: Group, check: Check, facts: Facts) -> Result:
    found = check.look(facts)
    bad = found.state in (State.ERROR, State.WARNING)
    hint = check.hint.replace("<osm-namespace>", facts.installation.namespace)
    return Result(
        group.name,
        check.name,
        check.title,
        found.state,
        found.lines,
        hint if bad else "",
        f"{PAGE}#{check.name}",
    )
