"""One check for all who ask: `osm validate`, `osm apply`, and whoever has an object as JSON."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.findings.pages import PAGES, put_files, read_page

from osm.cli.main import main
from osm.core.api.decode import decode
from osm.core.api.yaml_nodes import read_document
from osm.core.model.origin import Finding
from osm.errors import InvalidObjects
from osm.local.edits import read_input

ONE_OBJECT = sorted(PAGES.glob("OSM1*.md"))
Said = tuple[str, str, str, str]
"""Code, severity, object and field, message."""


def said(findings: Iterable[object]) -> list[Said]:
    found = [each for each in findings if isinstance(each, Finding)]
    return sorted((f.code, f.severity.value, str(f.origin or ""), f.message) for f in found)


def said_by_validate(answer: Mapping[str, Any]) -> list[Said]:
    return sorted(
        (each["code"], each["severity"], about(each), each["message"])
        for each in answer["findings"]
    )


def about(finding: Mapping[str, Any]) -> str:
    name = "/".join(part for part in (finding["namespace"], finding["name"]) if part)
    return f"{finding['kind']} {name} {finding['field']}".strip()


@pytest.mark.parametrize("path", ONE_OBJECT, ids=lambda path: path.stem)
def test_whoever_asks_is_told_the_same(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = read_page(path)
    put_files(page.bad, tmp_path)
    file = tmp_path / "objects.yaml"
    text = file.read_text()
    code = main(["validate", str(file), "-o", "json"])
    validated = said_by_validate(json.loads(capsys.readouterr().out))
    assert page.code in {each[0] for each in validated}

    # As from an API server: a mapping, without lines.
    node, _ = read_document(text, 1)
    assert node is not None
    asked = decode(json.loads(json.dumps(node.value)))
    if page.code != "OSM113":  # which quotes what was written: JSON has 1.1 where YAML has 1.10
        assert said(asked.findings) == validated
    assert (asked.manifest is None) == (code == 1)

    try:
        applied = said(read_input(text).findings)
    except InvalidObjects as refused:
        applied = said(refused.findings)
        assert code == 1
    else:
        assert code == 0
    assert applied == validated
