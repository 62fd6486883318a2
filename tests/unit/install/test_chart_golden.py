"""charts/osm is what the code writes: `make chart` after a change."""

from collections.abc import Callable
from pathlib import Path

import pytest

import osm
from osm.core.install.chart import chart_files, chart_version

CHART = Path(__file__).parents[3] / "charts" / "osm"
FILES = chart_files(osm.__version__)


@pytest.mark.parametrize("path", sorted(FILES))
def test_file_is_what_the_code_writes(path: str, golden: Callable[[Path, str], None]) -> None:
    golden(CHART / path, FILES[path])


def test_there_are_no_other_files() -> None:
    there = {str(file.relative_to(CHART)) for file in CHART.rglob("*") if file.is_file()}
    assert there == set(FILES)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.0.0", "2.0.0"),
        ("2.0.0.dev0", "2.0.0-dev.0"),
        ("2.1.0rc1", "2.1.0-rc.1"),
        ("10.20.30b2", "10.20.30-b.2"),
    ],
)
def test_version_is_a_semantic_one(version: str, expected: str) -> None:
    assert chart_version(version) == expected
