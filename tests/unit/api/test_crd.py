"""The CRDs are what an API server takes, and take what we take. `make golden` writes their outlines."""

import json
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from tests.unit.api.outline import outline
from tests.unit.api.structural import wrong_structure, wrong_values
from tests.unit.compile.meshes import meshes

from osm.core.api import crd, crd_schema
from osm.core.api.registry import Kind, kind_of
from osm.core.api.yaml_text import parse
from osm.testing import builders

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parents[1] / "golden_crds"
KINDS = crd.defined_kinds()
# Group, plural and short name as OSM's own CRDs have them, and the version that it stored.
OSM = {
    "ExtensionService": ("config.openservicemesh.io", "extensionservices", "extsvc", "v1alpha2"),
    "MeshRootCertificate": ("config.openservicemesh.io", "meshrootcertificates", "mrc", "v1alpha2"),
    "MeshConfig": ("config.openservicemesh.io", "meshconfigs", "meshconfig", "v1alpha2"),
    "Egress": ("policy.openservicemesh.io", "egresses", "egress", "v1alpha1"),
    "IngressBackend": (
        "policy.openservicemesh.io",
        "ingressbackends",
        "ingressbackend",
        "v1alpha1",
    ),
    "Retry": ("policy.openservicemesh.io", "retries", "retry", "v1alpha1"),
    "Telemetry": ("policy.openservicemesh.io", "telemetries", "telemetry", "v1alpha1"),
    "UpstreamTrafficSetting": (
        "policy.openservicemesh.io",
        "upstreamtrafficsettings",
        "upstreamtrafficsetting",
        "v1alpha1",
    ),
    "HTTPRouteGroup": ("specs.smi-spec.io", "httproutegroups", "htr", "v1alpha4"),
    "TCPRoute": ("specs.smi-spec.io", "tcproutes", "tr", "v1alpha4"),
    "TrafficTarget": ("access.smi-spec.io", "traffictargets", "tt", "v1alpha3"),
    "TrafficSplit": ("split.smi-spec.io", "trafficsplits", "ts", "v1alpha2"),
}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])


def definition(kind: Kind) -> Any:
    return crd.custom_resource_definition(kind)


def schemas(kind: Kind) -> dict[str, Any]:
    return {
        version["name"]: version["schema"]["openAPIV3Schema"]
        for version in definition(kind)["spec"]["versions"]
    }


def complaints(document: dict[str, Any]) -> list[str]:
    group, _, version = document["apiVersion"].rpartition("/")
    kind = kind_of(group, document["kind"])
    assert kind is not None
    return list(wrong_values(document, schemas(kind)[version]))


@each_kind
def test_a_definition_is_as_its_golden_outline(
    kind: Kind, golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / f"{kind.plural}.txt", outline(definition(kind)))


def test_every_kind_of_osm_and_smi_is_defined_under_its_old_names() -> None:
    names = {k.kind: (k.group, k.plural, *k.short_names) for k in KINDS}
    assert names == {kind: told[:3] for kind, told in OSM.items()}
    for definition_ in crd.custom_resource_definitions():
        spec: Any = definition_["spec"]
        versions = {version["name"]: version for version in spec["versions"]}
        # What is stored in an upgraded cluster must stay readable.
        assert versions[OSM[spec["names"]["kind"]][3]]["served"]
        assert spec["names"]["singular"] == spec["names"]["kind"].lower()
        assert definition_["metadata"] == {
            "name": f"{spec['names']['plural']}.{spec['group']}",
            "labels": {"app.kubernetes.io/name": "openservicemesh.io"},
        }


@each_kind
def test_one_version_is_stored_and_it_has_every_field_of_those_that_are_served(kind: Kind) -> None:
    versions = definition(kind)["spec"]["versions"]
    (stored,) = [version for version in versions if version["storage"]]
    assert stored["served"]
    assert {version["name"] for version in versions} == set(kind.versions)
    for version in versions:
        assert version["subresources"] == {"status": {}}
        if version["served"]:
            schema = version["schema"]["openAPIV3Schema"]
            assert fields(schema) <= fields(stored["schema"]["openAPIV3Schema"])


def fields(schema: Any, path: str = "") -> set[str]:
    found = {path}
    for name, member in schema.get("properties", {}).items():
        found |= fields(member, f"{path}.{name}")
    return found | (fields(schema["items"], f"{path}[]") if "items" in schema else set())


@each_kind
def test_every_schema_is_structural_and_its_defaults_fit(kind: Kind) -> None:
    for schema in schemas(kind).values():
        assert list(wrong_structure(schema)) == []
        assert schema["type"] == "object"
        assert schema["properties"]["metadata"] == {"type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"$ref": "#/b"}}},
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {}},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 2, "default": 1}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["b"]}]},
    ],
)
def test_what_is_not_structural_is_noticed_so_that_the_test_above_can_fail(schema: Any) -> None:
    assert list(wrong_structure(schema))


@each_kind
def test_every_field_is_described(kind: Kind) -> None:
    for version, schema in schemas(kind).items():
        assert undescribed(schema) == [], version


def undescribed(schema: Any, path: str = "") -> list[str]:
    missing = []
    for name, member in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        if "description" not in member and here != ".metadata" and "conditions" not in here:
            missing.append(here)
        missing += undescribed(member, here)
    return missing + (undescribed(schema["items"], f"{path}[]") if "items" in schema else [])


@each_kind
def test_no_docstring_describes_a_field_that_is_not_there(kind: Kind) -> None:
    def check(type_: Any) -> None:
        _, described = crd_schema.documentation(type_)
        assert described.keys() <= set(type_.__struct_fields__), type_

    for form in kind.forms:
        for type_ in structs(form.written_as):
            check(type_)


def structs(type_: Any) -> set[Any]:
    found: set[Any] = set()
    todo = [type_]
    while todo:
        one = todo.pop()
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            if one not in found and one.__name__ != "Metadata":
                found.add(one)
                todo += [field.type for field in msgspec.structs.fields(one)]
        else:
            todo += typing.get_args(one)
    return found


def test_the_same_comes_out_every_time() -> None:
    first, second = crd.custom_resource_definitions(), crd.custom_resource_definitions()
    assert json.dumps(first) == json.dumps(second)
    # No part is shared: who changes one definition changes no other, and YAML needs no aliases.
    assert "&id" not in yaml.safe_dump(list(first))


def test_every_manifest_of_the_bookstore_is_taken() -> None:
    files = sorted((ROOT / "src" / "osm" / "demo" / "manifests").rglob("*.yaml"))
    groups = (*crd.OWN_GROUPS, *crd.SMI_GROUPS)
    found = [
        manifest.raw
        for file in files
        for manifest in parse(file.read_text(), file=file.name).manifests
        if manifest.key.group in groups
    ]
    assert {document["kind"] for document in found} >= {
        "MeshConfig",
        "TrafficTarget",
        "TrafficSplit",
    }
    for document in found:
        assert complaints(dict(document)) == [], document


def test_every_golden_mesh_is_taken() -> None:
    texts = [file.read_text() for file in (ROOT / "tests" / "unit" / "golden").rglob("in.yaml")]
    documents = [d for text in texts for d in yaml.safe_load_all(text) if d]
    assert len(refused(documents)) == 0
    assert len(ours(documents)) > 10


@settings(max_examples=50)
@given(meshes())
def test_whatever_the_tests_make_up_is_taken(documents: Sequence[Mapping[str, Any]]) -> None:
    assert refused([*documents, *BUILT]) == []


BUILT = (
    builders.http_group("all", {"name": "all", "pathRegex": ".*"}),
    builders.tcp_route("any"),
    builders.tcp_route("some", 80, 81),
    builders.target("a", "b", ["c"], "HTTPRouteGroup/all", "TCPRoute/some"),
    builders.split("s", "root", {"v1": 50, "v2": "500m"}, matches=["all"]),
    builders.mesh_config(traffic={"enableEgress": True}),
)


def ours(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups = (*crd.OWN_GROUPS, *crd.SMI_GROUPS)
    return [dict(d) for d in documents if d["apiVersion"].partition("/")[0] in groups]


def refused(documents: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], list[str]]]:
    return [(d, found) for d in ours(documents) if (found := complaints(d))]
