"""The validator says what `osm validate` says: tried with the examples of the findings' pages."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.admission.reviews import Response, asked, of_mesh, validator

from osm.core.api.decode import decode
from osm.core.api.yaml_documents import split_documents
from osm.core.api.yaml_nodes import read_document
from osm.core.model.origin import Severity

PAGES = Path(__file__).parents[3] / "docs" / "findings"
Json = dict[str, Any]


def bad_objects() -> dict[str, Json]:
    """The examples of the findings' pages that are objects of ours, and wrong by themselves."""
    found = {}
    for page in sorted(PAGES.glob("OSM1*.md")):
        text = page.read_text().partition("## Bad")[2].partition("## Good")[0]
        for block in text.split("```yaml")[1:]:
            yaml = block.partition("\n")[2].partition("```")[0]
            for number, document in enumerate(split_documents(yaml)):
                node, _ = read_document(yaml[document.start : document.end], document.line)
                value = node.value if node else None
                group = str(value.get("apiVersion")) if isinstance(value, dict) else ""
                if isinstance(value, dict) and ("openservicemesh" in group or "smi" in group):
                    found[f"{page.stem}-{number}"] = value
    return found


BAD = bad_objects()


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
async def test_it_says_what_osm_validate_says(document: Json) -> None:
    findings = decode(document).findings
    namespace = document.get("metadata", {}).get("namespace", "default")
    request = of_mesh(document, namespace=namespace)
    found: Response = await asked(validator(), request)
    errors = [each for each in findings if each.severity is Severity.ERROR]
    assert found.allowed is (not errors) or found.status["code"] == 400
    if found.status.get("code") != 400:
        assert all(f"[{each.code}]" in found.message for each in errors)
        warned = [each for each in findings if each.severity is Severity.WARNING]
        assert len(found.warnings) == len(warned)


async def test_the_pages_examples_are_really_tried() -> None:
    assert len(BAD) > 20
