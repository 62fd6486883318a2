"""Each finding has a page, and each page's examples do what it says: the code behind `osm analyze`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.findings.pages import CODE, INDEX, PAGES, ROOT, Page, put_files, read_page

from osm.cli.main import main

ONLY_WHEN_RUNNING = {
    "OSM015": "a file has no last good form before somebody has looked at it twice",
    "OSM203": "workloads in files are taken to be ready",
    "OSM225": "a machine gives each workload of its files a proxy",
    "OSM226": "only a cluster has pods of OSM's",
    "OSM404": "files are looked at as if pods had networks of their own",
    "OSM901": "only a mistake in the compiler makes it",
    "OSM902": "only a proxy refuses a configuration",
    "OSM903": "only a mistake in a builder makes it",
    "OSM904": "files have no root certificate",
    "OSM905": "only a program that runs calls what does not exist",
    "OSM906": "only an API server refuses to be read",
    "OSM907": "files are no API server",
}
"""Codes whose bad example is a description, and why no file shows them."""

GROUPS = {
    "OSM0": "Files and YAML",
    "OSM1": "One object",
    "OSM2": "Services and workloads",
    "OSM3": "Policies",
    "OSM4": "This machine",
    "OSM9": "A running mesh",
}

PATHS = sorted(PAGES.glob("OSM*.md"))
IN_FILES = [path for path in PATHS if path.stem not in ONLY_WHEN_RUNNING]


def by_name(path: Path) -> str:
    return path.stem


def codes_in_source() -> set[str]:
    """Every code that a module names, without what was generated."""
    source = ROOT / "src" / "osm"
    return {
        code
        for path in source.rglob("*.py")
        if "_envoy" not in path.parts
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found_in(printed: str) -> Iterator[tuple[str, str]]:
    """Severity and code of each finding that was printed."""
    for line in printed.splitlines():
        if not line.startswith(" "):
            match = re.fullmatch(r"(?:\S+: )?(error|warning|info): .* \[(OSM\d{3})\]", line)
            assert match, f"this is no finding: {line}"
            yield match[1], match[2]


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.stem for path in PATHS}
    source = codes_in_source()
    assert sorted(source - pages) == [], "these codes have no page in docs/findings"
    assert sorted(pages - source) == [], "nothing in src has these codes any more"


@pytest.mark.parametrize("path", PATHS, ids=by_name)
def test_a_page_has_the_form_that_the_readme_tells(path: Path) -> None:
    page = read_page(path)
    assert page.code == path.stem
    assert len(page.title) <= 80, "a few words"
    assert not page.title.endswith(".")
    assert 2 <= len(re.findall(r"[.:?](?=\s)", page.meaning + "\n")) <= 8, "two to five sentences"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("path", IN_FILES, ids=by_name)
def test_the_bad_example_prints_its_golden_text(
    path: Path,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    page = read_page(path)
    assert page.arguments, "the page shows no command in a text block"
    put_files(page.bad, directory)

    code = main(page.arguments)
    printed = capsys.readouterr().out

    found = list(found_in(printed))
    assert {code for _, code in found} == {page.code}
    assert {severity for severity, _ in found} <= set(page.severities)
    assert code == (1 if "error" in dict(found) else 0)
    if request.config.getoption("--update-golden"):
        path.write_text(page.with_printed(printed), encoding="utf-8")
        page = read_page(path)
    assert printed == page.printed


@pytest.mark.parametrize("path", IN_FILES, ids=by_name)
def test_the_good_example_prints_nothing(
    path: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = read_page(path)
    assert page.good, "the page shows nothing that is right"
    put_files(page.bad, directory)
    put_files(page.good, directory)

    code = main(page.arguments)

    printed = capsys.readouterr()
    assert (printed.out, code) == ("", 0)
    assert printed.err.startswith("No findings in ")


@pytest.mark.parametrize("code", ONLY_WHEN_RUNNING)
def test_a_code_of_running_meshes_has_a_description(code: str) -> None:
    page = read_page(PAGES / f"{code}.md")
    assert (page.bad, page.good, page.arguments) == ((), (), ())


def index_of(pages: list[Page]) -> Iterator[str]:
    """The index, from its first heading on."""
    for start, heading in GROUPS.items():
        yield f"## {heading}\n\n| code | severity | what is wrong |\n|---|---|---|\n"
        for page in pages:
            if page.code.startswith(start):
                severities = " or ".join(page.severities)
                yield f"| [{page.code}](../findings/{page.code}.md) | {severities} | {page.title} |\n"
        yield "\n"


def test_the_index_has_every_page_golden(request: pytest.FixtureRequest) -> None:
    introduction, _, _ = INDEX.read_text(encoding="utf-8").partition("## ")
    whole = (introduction + "".join(index_of([read_page(path) for path in PATHS]))).rstrip() + "\n"
    if request.config.getoption("--update-golden"):
        INDEX.write_text(whole, encoding="utf-8")
    assert INDEX.read_text(encoding="utf-8") == whole, "`make golden` writes it"
    assert all(path.stem[:4] in GROUPS for path in PATHS)
