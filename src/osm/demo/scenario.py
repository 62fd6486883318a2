"""What each start of the demo consists of, where its pages are, and what to try next.

The manifests are files in `manifests/`; an access policy, a split or a mode of the demo also has a
short name, so that `osm apply -f demo:access` can be said.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from osm.errors import UsageError

Found = TypeVar("Found")

MANIFESTS = Path(__file__).parent / "manifests"
APPS = (
    "apps/namespaces.yaml",
    "apps/bookbuyer.yaml",
    "apps/bookthief.yaml",
    "apps/bookstore.yaml",
    "apps/bookwarehouse.yaml",
    "apps/database.yaml",
)
SMI = "mesh/mesh-config.yaml"
PERMISSIVE = "mesh/mesh-config-permissive.yaml"
ACCESS = "access/traffic-access-v1.yaml"
ALLOW_BOOKTHIEF = "access/traffic-access-v1-allow-bookthief.yaml"
BOOKSTORE_V2 = "apps-v2/bookstore-v2.yaml"
SPLIT_V1 = "split/traffic-split-v1.yaml"
SPLIT_50_50 = "split/traffic-split-50-50.yaml"
SPLIT_V2 = "split/traffic-split-v2.yaml"

SCENARIOS: dict[str, tuple[str, ...]] = {
    "empty": (SMI, *APPS),
    "permissive": (PERMISSIVE, *APPS),
    "policies": (SMI, *APPS, ACCESS),
    "split": (SMI, *APPS, ACCESS, BOOKSTORE_V2, SPLIT_50_50),
}
DEFAULT_SCENARIO = "policies"

NAMED_MANIFESTS: dict[str, str] = {
    "access": ACCESS,
    "allow-bookthief": ALLOW_BOOKTHIEF,
    "bookstore-v2": BOOKSTORE_V2,
    "split-v1": SPLIT_V1,
    "split-50-50": SPLIT_50_50,
    "split-v2": SPLIT_V2,
    "permissive": PERMISSIVE,
    "smi": SMI,
}

# Files that hold the same objects have one name in a mesh's directory, and replace each other.
FLAT_NAMES: dict[str, str] = {
    SMI: "mesh-config.yaml",
    PERMISSIVE: "mesh-config.yaml",
    ACCESS: "traffic-access.yaml",
    ALLOW_BOOKTHIEF: "traffic-access.yaml",
    SPLIT_V1: "traffic-split.yaml",
    SPLIT_50_50: "traffic-split.yaml",
    SPLIT_V2: "traffic-split.yaml",
}


class Step(msgspec.Struct, frozen=True, gc=False):
    """Something to try: one command, and what to watch for."""

    command: str
    watch: str


_STEPS: dict[str, Step] = {
    "explain": Step(
        "osm explain bookthief bookstore:14001 GET /buy-a-book/new",
        "says that the thief is refused, by which rule, and what would let it in",
    ),
    "smi": Step(
        "osm apply -f demo:smi",
        "access policies decide from now on; without any, all counters stand still",
    ),
    "access": Step(
        "osm apply -f demo:access",
        "bookbuyer's and bookstore's counters rise, bookthief's stands still",
    ),
    "allow-bookthief": Step(
        "osm apply -f demo:allow-bookthief",
        "bookthief's counter rises as well, within a second",
    ),
    "refuse-bookthief": Step(
        "osm apply -f demo:access",
        "bookthief is refused again, and its counter stops",
    ),
    "bookstore-v2": Step(
        "osm apply -f demo:bookstore-v2",
        "a second bookstore starts, and both sell: V1 and V2 rise at bookbuyer",
    ),
    "split-v1": Step(
        "osm apply -f demo:split-v1",
        "version 1 gets all calls: V2 stands still",
    ),
    "split-50-50": Step(
        "osm apply -f demo:split-50-50",
        "both versions get half of the calls",
    ),
    "split-v2": Step(
        "osm apply -f demo:split-v2",
        "version 2 gets all calls: V1 stands still",
    ),
    "permissive": Step(
        "osm apply -f demo:permissive",
        "all may call all, still by mutual TLS: bookthief's counter rises",
    ),
}

_GUARD = ("explain", "allow-bookthief", "refuse-bookthief")
_ROLL_OUT = ("bookstore-v2", "split-v1", "split-50-50", "split-v2")
_FLOWS: dict[str, tuple[str, ...]] = {
    "empty": ("access", *_GUARD, *_ROLL_OUT, "permissive"),
    "permissive": ("smi", "access", *_GUARD, *_ROLL_OUT),
    "policies": (*_GUARD, *_ROLL_OUT, "permissive"),
    "split": ("split-v1", "split-50-50", "split-v2", *_GUARD, "permissive"),
}


def scenario(name: str) -> tuple[str, ...]:
    """Return the manifests, as paths below `manifests/`, that a start of the demo consists of."""
    return _found(SCENARIOS, name, "scenario")


def next_steps(name: str) -> tuple[Step, ...]:
    """Return OSM's getting-started flow, from where a start of the demo leaves it."""
    return tuple(_STEPS[step] for step in _found(_FLOWS, name, "scenario"))


def demo_manifest(name: str) -> str:
    """Return the YAML behind `demo:NAME`."""
    return read_manifest(_found(NAMED_MANIFESTS, name, "manifest of the demo"))


def read_manifest(file: str) -> str:
    """Return the YAML of one of the demo's files."""
    return (MANIFESTS / file).read_text(encoding="utf-8")


def copy_scenario(name: str, directory: Path) -> tuple[Path, ...]:
    """Write a scenario's manifests into a directory, without folders, and return their paths.

    The directory is made when it is missing. Files of the same names are replaced; others stay.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for file in scenario(name):
        target = directory / flat_name(file)
        target.write_text(read_manifest(file), encoding="utf-8")
        written.append(target)
    return tuple(written)


def flat_name(file: str) -> str:
    """Return the name that one of the demo's files has in a mesh's directory."""
    return FLAT_NAMES.get(file, Path(file).name)


def _found(table: Mapping[str, Found], name: str, what: str) -> Found:
    try:
        return table[name]
    except KeyError:
        choices = ", ".join(table)
        raise UsageError(
            f'there is no {what} called "{name}"', hint=f"Choose one of: {choices}."
        ) from None
