"""The pages about codes of findings: which there are, and what stands in them.

An installed `osm` has them beside its modules, a checkout in `docs/findings`.
"""

import re
from pathlib import Path

import msgspec

import osm
from osm.errors import UsageError

_PACKAGE = Path(osm.__file__).parent
_PLACES = (_PACKAGE / "finding_pages", _PACKAGE.parents[1] / "docs" / "findings")
_TITLE = re.compile(r"# (OSM\d{3}): (.+)")
_SEVERITY = re.compile(r"^Severity: (.+)$", re.MULTILINE)


class Page(msgspec.Struct, frozen=True):
    """What a page says at its top."""

    code: str
    severity: str
    title: str


def page_name(code: str) -> str:
    """Name the page of a code, as seen from the project's directory."""
    return f"docs/findings/{code}.md"


def list_pages() -> tuple[Page, ...]:
    """Every page, by code."""
    return tuple(
        _read_top(path.read_text(encoding="utf-8")) for path in sorted(_directory().glob("OSM*.md"))
    )


def read_page(code: str) -> str:
    """Return the text of the page of a code. Raises UsageError when there is none."""
    path = _directory() / f"{code.upper()}.md"
    if not re.fullmatch(r"OSM\d{3}", code.upper()) or not path.is_file():
        raise UsageError(f"There is no finding {code[:60]!r}.", hint="`--list-codes` shows all.")
    return path.read_text(encoding="utf-8")


def _read_top(text: str) -> Page:
    title, severity = _TITLE.match(text), _SEVERITY.search(text)
    assert title, f"this is no page of a finding: {text[:40]!r}"
    assert severity, f"the page of {title[1]} tells no severity"
    return Page(title[1], severity[1], title[2])


def _directory() -> Path:
    return next((place for place in _PLACES if place.is_dir()), _PLACES[0])
