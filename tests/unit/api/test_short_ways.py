"""Reading takes short ways for what is in order: each must come to where the long way comes."""

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.core.api import yaml_text
from osm.core.api.fit import is_fit
from osm.core.api.manifest import Key, Manifest, packed
from osm.core.api.recognition import Refusal, pruned_document
from osm.core.api.registry import KINDS
from osm.core.api.shape import shape_problems
from osm.core.api.yaml_nodes import DEEPEST, read_document
from osm.core.api.yaml_plain import read_plain_mapping
from osm.core.api.yaml_text import Parsed, known_documents, parse

from .test_never_raises import FIELDS, VALUES, VERSIONS

FORMS = [form.written_as for kind in KINDS for form in kind.forms]
GOOD = """\
apiVersion: v1
kind: Service
metadata:
  name: a
  labels: {app: a, "version": 'v1'}
spec:
  selector:
    app: a
  ports:
  - port: 80
    name: http
"""

YAML_LIKE = st.text(alphabet="abk01: -\n\t{}[],'\"&*!|>#%?~.<", max_size=80)
DOCUMENTS = st.dictionaries(FIELDS, VALUES, max_size=6)


def the_long_way(text: str) -> Parsed:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_text, "read_plain_mapping", lambda _: None)
        return parse(text, file="f.yaml")


def unpacked(parsed: Parsed) -> str:
    return repr((parsed, [manifest.raw for manifest in parsed.manifests]))


def test_a_document_in_order_takes_the_short_way() -> None:
    assert read_plain_mapping("# above\n\n" + GOOD) == (yaml.safe_load(GOOD), 2)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n", "<<: {a: 1}\n", "a: &x 1\n", "a: *x\n", "a: !!str 1\n", "1: a\n", "~: a\n",
        "- a\n", "a\n", "", "a: [\n", "? [a]\n: b\n", "&x {a: 1}\n", "a: 1\n--- \nb: 1\n",
        "[" * DEEPEST, "a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1),
    ],
)  # fmt: skip
def test_whatever_is_unusual_is_left_to_the_long_way(text: str) -> None:
    assert read_plain_mapping(text) is None


@settings(max_examples=600, deadline=None)
@given(YAML_LIKE | DOCUMENTS.map(lambda value: yaml.safe_dump(value, sort_keys=False)))
def test_both_ways_read_the_same_values(text: str) -> None:
    found = read_plain_mapping(text)
    if found is not None:
        node, problems = read_document(text, 1)
        assert node is not None
        assert not problems
        assert (repr(found[0]), found[1] + 1) == (repr(node.value), node.line)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(version=VERSIONS, content=DOCUMENTS, in_one_line=st.booleans())
def test_both_ways_find_the_same_mistakes_and_manifests(
    *, version: tuple[str, str], content: dict[str, Any], in_one_line: bool
) -> None:
    document = {"apiVersion": version[0], "kind": version[1], "metadata": {"name": "x"}}
    text = yaml.safe_dump(content | document, sort_keys=False, default_flow_style=in_one_line)
    assert unpacked(parse(text, file="f.yaml")) == unpacked(the_long_way(text))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(FORMS), DOCUMENTS)
def test_what_fits_has_no_problems_and_what_has_none_fits(form: type, value: Any) -> None:
    try:
        document = pruned_document(value)
    except Refusal:
        return
    problems = list(shape_problems(document, form, written=lambda _: ""))
    assert is_fit(document, form) == (not problems)


def test_every_field_of_a_document_in_order_fits() -> None:
    service = next(kind for kind in KINDS if kind.kind == "Service").forms[0].written_as
    assert is_fit(yaml.safe_load(GOOD), service)
    assert not is_fit(yaml.safe_load(GOOD.replace("80", "'80'")), service)
    assert not is_fit(yaml.safe_load(GOOD.replace("80", "80000")), service)
    assert not is_fit(yaml.safe_load(GOOD.replace("- port: 80\n    name", "- name")), service)


A_LIST = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: a}}
- {apiVersion: v1, kind: Namespace, metadata: {name: b}}
"""
PIECES = st.sampled_from(
    [
        GOOD,
        GOOD.replace("name: a\n", "name: b\n"),
        GOOD.replace("port: 80", "port: 0"),
        A_LIST,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
        "# only a comment\n",
        "null\n",
        "a: [\n",
        "",
    ]
)
FILES = st.lists(PIECES, max_size=5).map("---\n".join)


@settings(max_examples=400, deadline=None)
@given(FILES, FILES)
def test_documents_that_are_known_need_not_be_read_again(old: str, new: str) -> None:
    before = parse(old, file="f.yaml")
    known = {} if before.findings else known_documents(old, before.manifests)
    assert unpacked(parse(new, file="f.yaml", known=known)) == unpacked(parse(new, file="f.yaml"))
    assert not known or list(known.values()) == list(before.manifests)


def test_a_document_that_has_not_changed_is_the_same_manifest() -> None:
    old = f"{GOOD}---\n{GOOD.replace('name: a', 'name: b')}"
    before = parse(old, file="f.yaml").manifests
    known = known_documents(old, before)
    after = parse(old.replace("name: b", "name: c"), file="f.yaml", known=known).manifests
    assert after[0] is before[0]
    assert after[1].key.name == "c"
    moved = parse(f"\n{old}", file="f.yaml", known=known).manifests
    assert [manifest.where for manifest in moved] == ["f.yaml:2", "f.yaml:14"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_a_packed_manifest_shows_the_object_as_it_was_written(raw: dict[str, Any]) -> None:
    kept = packed(Manifest(Key("", "Service", "a", "b"), None, raw, "f.yaml:1"))
    assert repr(kept.raw) == repr(raw)
    assert kept.where == "f.yaml:1"
    assert packed(kept) is kept


def test_the_version_is_known_whether_packed_or_not() -> None:
    for raw in ({"kind": "Pod", "apiVersion": "v1", "spec": {"nodeName": "n"}}, {}):
        manifest = Manifest(Key("", "Pod", "a", "b"), None, raw)
        assert packed(manifest).api_version == manifest.api_version == raw.get("apiVersion", "")
