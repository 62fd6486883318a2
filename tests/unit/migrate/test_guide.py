"""The guide names every code that `osm migrate check` can say, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import osm.core.migrate

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "migrating-from-osm.md"
SOURCES = Path(osm.core.migrate.__file__).parent
_PLACES = {"Entry": 1, "Row": 3}
"""Which argument is the code."""


def codes() -> Iterator[str]:
    for source in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = _PLACES.get(node.func.id)
                if place is not None and isinstance(node.args[place], ast.Constant):
                    yield str(node.args[place].value)  # type: ignore[attr-defined]
    from osm.core.migrate.policies import behaviour  # noqa: PLC0415 - beside what is written out

    yield from (entry.code for entry in behaviour(permissive=False))


def test_the_guide_names_every_code_once() -> None:
    rows = re.findall(r"^\| (`.*?) \|", GUIDE.read_text(), re.MULTILINE)
    named = [code for row in rows for code in re.findall(r"`([a-z-]+)`", row)]
    assert len(named) == len(set(named))
    assert set(named) == set(codes())
