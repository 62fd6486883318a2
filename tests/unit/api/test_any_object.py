"""10,000 objects of every kind, right and wrong: each is decoded or explained, and soon.

What is decoded is the same when it is written out and decoded again.
"""

import time
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.api.made_up import Maker
from tests.unit.api.structural import wrong_values

from osm.core.api import crd
from osm.core.api.decode import Decoded, decode
from osm.core.api.registry import Form, Kind
from osm.core.model.origin import Severity

Document = dict[str, Any]
Written = tuple[Kind, str, Form]

each_kind = pytest.mark.parametrize("kind", crd.defined_kinds(), ids=lambda kind: kind.kind)
OBJECTS = 10_000
AT_ONCE = 250
LONGEST_CPU_S = 1.0
"""For one object on a busy machine; most take less than a millisecond."""

together = settings(
    max_examples=OBJECTS // AT_ONCE,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


def document_of(kind: Kind, version: str, content: object) -> Document:
    members = content if isinstance(content, dict) else {"spec": content}
    return {
        **members,
        "apiVersion": kind.written_version(version),
        "kind": kind.kind,
        "metadata": {"name": "made-up", "namespace": "default"},
    }


def looked_at(document: Document) -> Decoded:
    """Decode, and demand what holds for every object."""
    begun = time.process_time()
    decoded = decode(document, where="f.yaml:1")
    assert time.process_time() - begun < LONGEST_CPU_S, document
    errors = [f for f in decoded.findings if f.severity is Severity.ERROR]
    assert (decoded.manifest is None) == bool(errors), document
    for finding in decoded.findings:
        assert finding.origin is not None, document
        assert (finding.origin.kind, finding.origin.name) == (document["kind"], "made-up")
        assert finding.origin.field, (finding, document)
        assert finding.where == "f.yaml:1"
        assert finding.code.startswith("OSM")
        assert len(finding.message) < 3_000
    return decoded


@together
@each_kind
@given(seed=st.integers(0, 2**64))
def test_ten_thousand_objects_are_decoded_or_explained(kind: Kind, seed: int) -> None:
    random = Random(seed)
    version = random.choice(kind.versions)
    maker = maker_of(kind, version)
    good = 0
    for number in range(AT_ONCE):
        content = maker.wrong(random) if number % 2 else maker.right(random)
        document = document_of(kind, version, content)
        decoded = looked_at(document)
        if decoded.manifest is not None:
            good += 1
            assert isinstance(decoded.manifest.object, kind.object_type)
            if kind.object_type in {form.written_as for form in kind.forms} and number % 5 == 0:
                written = msgspec.to_builtins(decoded.manifest.object)
                again = looked_at(document_of(kind, version, written))
                assert again.manifest is not None
                assert again.manifest.object == decoded.manifest.object
            # Whatever we take, an API server takes.
            document.pop("status", None)  # we write it, and do not read it
            assert list(wrong_values(without_nothing(document), maker.schema)) == [], document
    assert good > 0, "only wrong objects came out: this test would say nothing"


@cache
def maker_of(kind: Kind, version: str) -> Maker:
    form = kind.form(version)
    assert form is not None
    return Maker(crd.object_schema(form))


@each_kind
@pytest.mark.parametrize("large", ["x" * 300_000, "%REQ(a)%" * 30_000, ["a"] * 20_000])
def test_a_huge_value_is_refused_as_soon_as_any_other(kind: Kind, large: object) -> None:
    maker = maker_of(kind, kind.versions[-1])
    content = maker.whole()
    for path in leaves(content):
        looked_at(document_of(kind, kind.versions[-1], replaced(content, path, large)))


def leaves(value: Any) -> list[tuple[Any, ...]]:
    """The paths of everything that is no list and no mapping."""
    if isinstance(value, dict):
        return [(name, *path) for name, member in value.items() for path in leaves(member)]
    if isinstance(value, list):
        return [(0, *path) for path in leaves(value[0])] if value else []
    return [()]


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    if not path:
        return new
    if isinstance(value, list):
        return [replaced(value[0], path[1:], new)]
    return value | {path[0]: replaced(value[path[0]], path[1:], new)}


def without_nothing(value: Any) -> Any:
    """The value without empty fields: an API server drops them, and so do we."""
    if isinstance(value, dict):
        return {k: without_nothing(v) for k, v in value.items() if v is not None}
    return [without_nothing(v) for v in value] if isinstance(value, list) else value
