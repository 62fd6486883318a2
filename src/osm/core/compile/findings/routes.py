"""What is wrong with an HTTPRouteGroup or TCPRoute: what no request fits, and what nobody refers to."""

import re
from collections.abc import Iterable, Iterator

from osm.core.api.manifest import Key
from osm.core.api.policy import Egress, IngressBackend, Reference
from osm.core.api.smi import HTTPRouteGroup, TCPRoute, TrafficSplit, TrafficTarget
from osm.core.compile import codes
from osm.core.compile.findings.places import origin_of
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import Tables, Written
from osm.core.derive.derivation import Derive, Group, Stage
from osm.core.model.groups import SPECS
from osm.core.model.origin import Finding, Severity

_FIRST_CHARACTER = re.compile(r"\^*(?:\\([^A-Za-z0-9])|([^\\.\[(|*+?{^$]))(?![*?{])")
"""A regex that begins with a literal character which must be there."""


def _of_group(
    tables: Tables, key: Key, group: Written[HTTPRouteGroup]
) -> tuple[Finding, ...] | None:
    if not is_meshed(tables, key.namespace):
        return None
    found = list(_unused(tables, key, group.where))
    for index, match in enumerate(group.object.spec.matches):
        if is_no_path(match.path_regex):
            found.append(
                Finding(
                    codes.PATH,
                    Severity.WARNING,
                    origin_of(key, f"spec.matches[{index}].pathRegex"),
                    f"no path fits {match.path_regex!r}: every path begins with `/`, and the regex "
                    "must fit all of it",
                    _other_paths(match.path_regex.lstrip("^")),
                    group.where,
                )
            )
    return tuple(found) or None


def _other_paths(regex: str) -> str:
    end = "" if regex.endswith(".*") else ".*"
    return f"Write `/{regex}`, or `.*{regex}{end}` for paths that contain it."


def is_no_path(regex: str) -> bool:
    """Whether a regex begins with a character that is no slash. Where alternatives may be, it says no."""
    found = _FIRST_CHARACTER.match(regex)
    return bool(found and "|" not in regex and "/" not in (found[1], found[2]))


def _of_route(tables: Tables, key: Key, route: Written[TCPRoute]) -> tuple[Finding, ...] | None:
    if not is_meshed(tables, key.namespace):
        return None
    return tuple(_unused(tables, key, route.where)) or None


def _unused(tables: Tables, key: Key, where: str) -> Iterator[Finding]:
    for users in (
        tables.targets_naming,
        tables.splits_naming,
        tables.egresses_naming,
        tables.ingresses_naming,
    ):
        if key in users:
            return
    by = "TrafficTarget" + (
        ", TrafficSplit, Egress or IngressBackend" if key.kind == "HTTPRouteGroup" else ""
    )
    yield Finding(
        codes.UNUSED,
        Severity.INFO,
        origin_of(key),
        f"no {by} in namespace {key.namespace} names it, so it has no effect",
        "Routes allow nothing by themselves: a TrafficTarget's `rules` name them.",
        where,
    )


def _of_target(key: Key, target: Written[TrafficTarget]) -> Iterable[Key]:
    return {Key(SPECS, rule.kind, key.namespace, rule.name) for rule in target.object.spec.rules}


def _of_split(key: Key, split: Written[TrafficSplit]) -> Iterable[Key]:
    return {Key(SPECS, each.kind, key.namespace, each.name) for each in split.object.spec.matches}


def _of_policy(key: Key, written: Written[Egress | IngressBackend]) -> Iterable[Key]:
    matches: tuple[Reference, ...] = written.object.spec.matches
    return {Key(SPECS, each.kind, key.namespace, each.name) for each in matches}


STAGES: tuple[Stage, ...] = (
    Group("targets_naming", "targets", _of_target),
    Group("splits_naming", "splits", _of_split),
    Group("egresses_naming", "egress_objects", _of_policy),
    Group("ingresses_naming", "ingress_objects", _of_policy),
    Derive("group_findings", "route_groups", _of_group),
    Derive("route_findings", "tcp_routes", _of_route),
)
