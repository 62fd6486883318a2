"""The pages about OSM's scenarios, hostile input and faults name tests that exist, and leave nothing out."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from tests.unit.api.test_broken_yaml import BROKEN_OBJECTS, BROKEN_TEXT
from tests.unit.api.test_mesh_config import INTERFACES, LISTS, NONSENSE, PORTS
from tests.unit.hostile import (
    test_c02_regexes,
    test_c03_duplicate_hosts,
    test_c05_headers,
    test_c06_splits,
    test_c07_access,
    test_c08_forbidden_places,
    test_c12_yaml,
    test_c14_exclusions,
)

ROOT = Path(__file__).parents[3]
SCENARIOS = ROOT / "docs" / "reference" / "osm-scenarios.md"
HOSTILE = ROOT / "docs" / "reference" / "hostile-input.md"
FAULTS = ROOT / "docs" / "reference" / "cluster-faults.md"
LATER = {"*Kubernetes*", "*certificates*", "*Gateway API*"}

# Each bullet of OSM's unit tests, its end-to-end tests, its documented demos and its traps, and how many
# scenarios it has.
SECTIONS = {
    "Inbound policy": 12,
    "Routes from rules": 7,
    "Outbound policy": 4,
    "Egress": 10,
    "Ingress": 7,
    "Retry": 5,
    "TrafficPolicy algebra": 8,
    "RBAC builder": 8,
    "LDS": 13,
    "Health probes": 6,
    "Port and address lists": 7,
    "Annotations": 4,
    "Proxy and pod": 9,
    "Services": 6,
    "Telemetry": 5,
    "Certificates": 7,
    "Webhook": 10,
    "Validator": 14,
    "End to end": 43,
    "Documented demos": 19,
    "Traps": 33,
}
ONLY_LATER = {
    "Health probes", "Port and address lists", "Annotations", "Webhook", "Certificates",
    "Inbound policy", "Validator", "End to end", "Documented demos", "Traps",
}  # fmt: skip
"""Sections in which a row may wait for a later part of the project."""
TRAPS = {str(number) for number in range(2, 35)}


class Row(msgspec.Struct, frozen=True):
    section: str
    name: str
    ours: str
    proof: str

    @property
    def tests(self) -> tuple[str, ...]:
        if self.proof in LATER:
            return ()
        return tuple(part.strip().strip("`") for part in self.proof.split(", "))

    def __str__(self) -> str:
        return f"{self.section}: {self.name}"


def rows(page: Path) -> Iterator[Row]:
    section = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("scenario", "trap", "row", "---"):
            assert len(cells) == 4, line
            yield Row(section, cells[0], cells[2], cells[3])


ROWS = [*rows(SCENARIOS), *rows(HOSTILE), *rows(FAULTS)]


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of a file's test functions."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_each_row_names_tests_that_exist_or_what_it_comes_with(row: Row) -> None:
    if row.proof in LATER:
        assert row.section in ONLY_LATER or row.name == "C9"
        assert row.ours == ""
        return
    assert row.ours
    for name in row.tests:
        path, _, function = name.partition("::")
        assert path.startswith("tests/") and function.startswith("test_")
        assert (ROOT / path).is_file(), path
        assert function in functions_of(path), name


def test_no_scenario_is_missing() -> None:
    counts = dict.fromkeys(SECTIONS, 0)
    for row in rows(SCENARIOS):
        counts[row.section] += 1
    assert counts == SECTIONS
    assert {row.name for row in rows(SCENARIOS) if row.section == "Traps"} == TRAPS
    names = [str(row) for row in rows(SCENARIOS)]
    assert len(names) == len(set(names))
    assert [row.name for row in rows(HOSTILE)] == [f"C{number}" for number in range(1, 15)]
    faults = [*(f"K{number}" for number in range(1, 15)), *(f"W{n}" for n in range(1, 12))]
    assert [row.name for row in rows(FAULTS)] == faults


def test_most_of_them_have_a_test() -> None:
    waiting = [str(row) for row in ROWS if row.proof in LATER]
    assert len(waiting) <= 40, waiting


def test_the_tables_of_hostile_input_have_their_figures() -> None:
    lists = [row for row in NONSENSE if row[0] in (*LISTS, *PORTS, INTERFACES)]
    figures = {
        "C2": len(test_c02_regexes.REFUSED) + len(test_c02_regexes.TAKEN),
        "C3": len(test_c03_duplicate_hosts.CLAIMS),
        "C5": len(test_c05_headers.COMMANDS) + len(test_c05_headers.NAMES),
        "C6": len(test_c06_splits.TAKEN) + len(test_c06_splits.REFUSED),
        "C7": len(test_c07_access.REFUSED) + len(test_c07_access.GRANT_NOTHING),
        "C8": len(test_c08_forbidden_places.OWN_MACHINE) + len(test_c08_forbidden_places.RANGES),
        "C10": len(NONSENSE),
        "C12": len(BROKEN_TEXT) + len(BROKEN_OBJECTS) + len(test_c12_yaml.BOMBS),
        "C14": len(lists) + len(test_c14_exclusions.ROWS),
    }
    least = {
        "C2": 40, "C3": 20, "C5": 40, "C6": 20, "C7": 30, "C8": 15, "C10": 40, "C12": 25, "C14": 30,
    }  # fmt: skip
    assert {row: (figures[row], most) for row, most in least.items() if figures[row] < most} == {}
