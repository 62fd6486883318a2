"""CustomResourceDefinitions of our kinds and of SMI's, made from the typed objects.

Spec: `apiextensions.k8s.io/v1`. Names are OSM's (`reference/osm.md` §1.1). There is no conversion
webhook: every served version has the fields of the stored one, and the API server changes only
`apiVersion`. Versions with their fields at the top, beside `metadata`, are listed and not served:
an API server would drop these fields.
"""

from collections.abc import Mapping
from copy import deepcopy

from osm.core.api.crd_schema import Schema, struct_schema
from osm.core.api.registry import KINDS, Form, Kind
from osm.core.model.groups import ACCESS, CONFIG, POLICY, SPECS, SPLIT

OWN_GROUPS = (CONFIG, POLICY)
SMI_GROUPS = (ACCESS, SPECS, SPLIT)
LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "openservicemesh.io"}

_COLUMNS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "MeshRootCertificate": (("Role", "string", ".spec.role"),),
    "TrafficSplit": (("Service", "string", ".spec.service"),),
}
_STATUS_COLUMNS = (
    ("Status", "string", ".status.currentStatus"),
    ("Age", "date", ".metadata.creationTimestamp"),
)
_DEPRECATED = frozenset({("MeshConfig", "v1alpha1")})
_CONDITION: Schema = {
    "description": "One aspect of the state of this object.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "maxLength": 316},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
        "message": {"type": "string", "maxLength": 32768},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
    },
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
}
_STATUS: Schema = {
    "description": "What the mesh made of this object.",
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "currentStatus": {
            "description": "The state in one word, as OSM wrote it: `committed`, `error` or `pending`.",
            "type": "string",
        },
        "reason": {"description": "Why it is in this state.", "type": "string"},
        "observedGeneration": {
            "description": "The generation of this object that the status is about.",
            "type": "integer",
            "format": "int64",
            "minimum": 0,
        },
        "conditions": {
            "description": "The state, aspect by aspect.",
            "type": "array",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    },
}


def defined_kinds() -> tuple[Kind, ...]:
    """The kinds that `osm install` defines."""
    return tuple(k for k in KINDS if k.supported and k.group in (*OWN_GROUPS, *SMI_GROUPS))


def custom_resource_definition(kind: Kind) -> dict[str, object]:
    """The CustomResourceDefinition of a kind with all its versions; the newest one is stored."""
    singular = kind.kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}", "labels": dict(LABELS)},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": list(kind.short_names),
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "conversion": {"strategy": "None"},
            "versions": [
                _version(kind, version, form)
                for version, form in reversed(tuple(zip(kind.versions, kind.forms, strict=True)))
            ],
        },
    }


def is_served(form: Form) -> bool:
    """Whether an API server can serve a version; see above."""
    return "spec" in form.written_as.__struct_fields__


def object_schema(form: Form) -> Schema:
    """The schema of a whole object in one version, with status."""
    schema = struct_schema(form.written_as)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    required = [name for name in _names(schema.get("required")) if name != "metadata"]
    head: Schema = {
        "apiVersion": {"description": "Group and version of this object.", "type": "string"},
        "kind": {"description": "Kind of this object.", "type": "string"},
        "metadata": {"type": "object"},
    }
    content = {name: value for name, value in properties.items() if name != "metadata"}
    rest = {name: value for name, value in schema.items() if name != "required"}
    return (
        rest
        | {"properties": head | content | {"status": deepcopy(_STATUS)}}
        | ({"required": required} if required else {})
    )


def _names(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _version(kind: Kind, version: str, form: Form) -> dict[str, object]:
    columns = _COLUMNS.get(kind.kind, ())
    if kind.group in OWN_GROUPS:
        columns += _STATUS_COLUMNS
    deprecated: dict[str, object] = {}
    if (kind.kind, version) in _DEPRECATED:
        text = f"{kind.written_version(version)} {kind.kind} is deprecated; use {kind.api_version}"
        deprecated = {"deprecated": True, "deprecationWarning": text}
    return (
        {"name": version, "served": is_served(form), "storage": version == kind.versions[-1]}
        | deprecated
        | {"schema": {"openAPIV3Schema": object_schema(form)}, "subresources": {"status": {}}}
        | (
            {
                "additionalPrinterColumns": [
                    {"name": name, "type": type_, "jsonPath": path} for name, type_, path in columns
                ]
            }
            if columns
            else {}
        )
    )


def custom_resource_definitions() -> tuple[dict[str, object], ...]:
    """All of them, in the order of `registry.KINDS`."""
    return tuple(map(custom_resource_definition, defined_kinds()))
