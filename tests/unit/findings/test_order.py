"""What is found depends on what there is, and not on the order in which it came."""

from collections.abc import Mapping
from random import Random

import pytest
from tests.unit.findings.pages import PAGES, read_page

from osm.core.api.manifest import Key, Manifest
from osm.core.api.yaml_text import parse
from osm.demo.scenario import read_manifest, scenario
from osm.runtime.analysis import analyse


@pytest.fixture(scope="module")
def everything() -> Mapping[Key, Manifest]:
    """The bookstore, and whatever can be read of the bad examples of all pages at once."""
    texts = [read_manifest(file) for file in scenario("split")]
    for path in sorted(PAGES.glob("OSM*.md")):
        texts += [block.text for block in read_page(path).bad if block.language == "yaml"]
    manifests = [
        manifest
        for number, text in enumerate(texts)
        for manifest in parse(text, file=f"{number}.yaml").manifests
    ]
    return {manifest.key: manifest for manifest in reversed(manifests)}


@pytest.mark.parametrize("seed", range(10))
def test_the_same_objects_give_the_same_findings_in_whatever_order(
    everything: Mapping[Key, Manifest], seed: int
) -> None:
    shuffled = list(everything.items())
    Random(seed).shuffle(shuffled)
    expected = analyse(everything)
    assert len({finding.code for finding in expected}) >= 3
    assert sorted(map(str, analyse(dict(shuffled)))) == sorted(map(str, expected))
