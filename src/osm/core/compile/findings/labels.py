"""Labels and annotations of ours that mean nothing where they stand."""

import difflib
from collections.abc import Iterator, Mapping

import msgspec

from osm.core.api.kubernetes import Namespace
from osm.core.api.manifest import Key
from osm.core.api.mesh_keys import (
    DOMAIN,
    IGNORE,
    INJECTION,
    METRICS,
    MONITORED_BY,
    SWITCH,
    TAKEN_OVER_BY,
)
from osm.core.api.metadata import Metadata
from osm.core.compile import codes, local_annotations
from osm.core.compile.findings.places import origin_of
from osm.core.compile.kubernetes import DISCOVERY, EAGER
from osm.core.compile.tables import Tables, Written
from osm.core.derive.derivation import Derive, Stage
from osm.core.model.origin import Finding, Origin, Severity

_SWITCH = tuple(SWITCH)
_ANYTHING: tuple[str, ...] = ()
_POD_LISTS = (
    "outbound-port-exclusion-list",
    "inbound-port-exclusion-list",
    "outbound-ip-range-exclusion-list",
    "outbound-ip-range-inclusion-list",
)

_KNOWN: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = {
    ("Namespace", "label"): {
        MONITORED_BY: _ANYTHING,
        TAKEN_OVER_BY: _ANYTHING,
        IGNORE: _ANYTHING,
    },
    ("Namespace", "annotation"): {INJECTION: _SWITCH, METRICS: _SWITCH},
    ("Pod", "annotation"): {
        INJECTION: _SWITCH,
        DISCOVERY: tuple(EAGER),
        **{f"{DOMAIN}/{name}": _ANYTHING for name in _POD_LISTS},
        **dict.fromkeys(local_annotations.KNOWN, _ANYTHING),
    },
}
"""By kind and place (`reference/osm.md` §2): the keys, and the values that they can have."""


def unknown_keys(kind: str, origin: Origin, metadata: Metadata, where: str) -> Iterator[Finding]:
    """Findings about an object's labels and annotations. `origin` is their `metadata`."""
    for place, given in (("label", metadata.labels), ("annotation", metadata.annotations)):
        known = _KNOWN.get((kind, place), {})
        for name, value in given.items():
            if "mesh" not in name or not _is_ours(name):
                continue
            here = msgspec.structs.replace(origin, field=f'{origin.field}.{place}s["{name}"]')
            if name not in known:
                yield _unknown_key(here, kind, place, name, where)
            elif known[name] and value.lower() not in known[name]:
                yield _unknown_value(here, name, value, where, known[name])


def _is_ours(name: str) -> bool:
    """Whether the domain in front is ours, or was meant to be."""
    domain, slash, _ = name.partition("/")
    last_two = ".".join(domain.split(".")[-2:])
    return bool(slash and difflib.get_close_matches(last_two, (DOMAIN,), 1, 0.88))


def _unknown_key(here: Origin, kind: str, place: str, name: str, where: str) -> Finding:
    return Finding(
        codes.UNKNOWN_KEY,
        Severity.WARNING,
        here,
        f"the mesh knows no {place} {name!r} of a {kind}, so it means nothing",
        _suggestion(kind, place, name),
        where,
    )


def _suggestion(kind: str, place: str, name: str) -> str:
    for (other, elsewhere), known in _KNOWN.items():
        if name in known:
            return f"It belongs to the {elsewhere}s of a {other}."
    known = _KNOWN.get((kind, place), {})
    nearest = difflib.get_close_matches(name, known, 1, 0.6)
    if nearest:
        return f"Did you mean {nearest[0]!r}?"
    return f"These are known: {', '.join(sorted(known))}." if known else "Remove it."


def _unknown_value(
    here: Origin, name: str, value: str, where: str, values: tuple[str, ...]
) -> Finding:
    return Finding(
        codes.UNKNOWN_VALUE,
        Severity.WARNING,
        here,
        f"{value!r} is no value of {name}, so it counts as not said",
        "Write one of: " + ", ".join(values),
        where,
    )


def _of_namespace(_: Tables, key: Key, namespace: Written[Namespace]) -> tuple[Finding, ...] | None:
    origin = origin_of(key, "metadata")
    found = unknown_keys(key.kind, origin, namespace.object.metadata, namespace.where)
    return tuple(found) or None


STAGES: tuple[Stage, ...] = (Derive("namespace_findings", "namespaces", _of_namespace),)
