"""Whatever people (or their tools, or their enemies) write: findings, never a traceback."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.core.api.decode import decode
from osm.core.api.registry import KINDS
from osm.core.api.yaml_text import parse
from osm.core.model.origin import Severity

FIELDS = st.sampled_from(
    [
        "metadata",
        "spec",
        "name",
        "namespace",
        "labels",
        "destination",
        "sources",
        "rules",
        "specs",
        "kind",
        "matches",
        "headers",
        "methods",
        "pathRegex",
        "ports",
        "port",
        "targetPort",
        "backends",
        "weight",
        "service",
        "selector",
        "template",
        "containers",
        "env",
        "value",
        "replicas",
        "sidecar",
        "logLevel",
        "traffic",
        "certificate",
        "matchLabels",
        "readinessProbe",
        "httpGet",
        "items",
        "apiVersion",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["ServiceAccount", "HTTPRouteGroup", "500m", "GET", "*", "1h", "x", "10.0.0.0/8"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(FIELDS, st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=25,
)
VERSIONS = st.sampled_from(
    [(kind.written_version(version), kind.kind) for kind in KINDS for version in kind.versions]
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_json_like_document_gives_a_manifest_or_findings(document: Any) -> None:
    decoded = decode(document, where="f.yaml:1")
    assert decoded.manifest is not None or decoded.findings


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VERSIONS, st.dictionaries(FIELDS, VALUES, max_size=6))
def test_any_content_of_a_known_kind_gives_a_manifest_or_findings(
    version: tuple[str, str], content: dict[str, Any]
) -> None:
    metadata = content.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    document = {
        **content,
        "apiVersion": version[0],
        "kind": version[1],
        "metadata": {**named, "name": "x"},
    }
    before = copy.deepcopy(document)
    decoded = decode(document)
    failed = any(finding.severity is Severity.ERROR for finding in decoded.findings)
    assert failed == (decoded.manifest is None)
    assert repr(document) == repr(before)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200) | st.binary(max_size=200))
def test_any_text_gives_manifests_or_findings(text: str | bytes) -> None:
    parsed = parse(text, file="f.yaml")
    assert all(finding.where.startswith("f.yaml") for finding in parsed.findings)


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="abk:- \n\t{}[],'\"&*!|>#%?~.1<", max_size=80))
def test_any_yaml_like_text_gives_manifests_or_findings(text: str) -> None:
    lines = len(text.splitlines()) + 1
    for finding in parse(text, file="f.yaml").findings:
        assert 1 <= int(finding.where.removeprefix("f.yaml:")) <= lines


def test_a_document_nested_without_end_is_refused() -> None:
    document: dict[str, Any] = {}
    innermost = document
    for _ in range(100_000):
        innermost["a"] = {}
        innermost = innermost["a"]
    assert [finding.code for finding in decode(document).findings] == ["OSM010"]
    while document:  # so that it is not taken down recursively
        document = document["a"]
