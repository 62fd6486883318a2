"""What an API server does with a CRD's schema, as far as ours go: its rules, and its validation.

Spec: "Specifying a structural schema" in Kubernetes' documentation of custom resources, and the
OpenAPI v3 keywords that our schemas use. An unknown keyword is an error, so that none is passed
over in silence.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

KEYWORDS = frozenset(
    {
        "type",
        "description",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "pattern",
        "format",
        "default",
        "oneOf",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
    }
)
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
}


def wrong_structure(schema: Schema, path: str = "") -> Iterator[str]:
    """What keeps a schema from being structural, or this module from understanding it."""
    yield from _wrong_type(schema, path)
    yield from _wrong_names(schema, path)
    if "pattern" in schema:
        re.compile(schema["pattern"])
    if "default" in schema:
        yield from (f"{path}: default: {w}" for w in wrong_values(schema["default"], schema))
    for name, inner in schema.get("properties", {}).items():
        yield from wrong_structure(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from wrong_structure(schema[name], f"{path}[]")


NOTHING = (".metadata", ".remoteAddress")
"""What the API server describes itself, and what says all by being there. It keeps no empty properties."""


def _wrong_type(schema: Schema, path: str) -> Iterator[str]:
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    kind = schema.get("type", "")
    if not kind and not free and not schema.get("x-kubernetes-int-or-string"):
        yield f"{path}: no type"
    elif kind and kind not in TYPES:
        yield f"{path}: type {kind}"
    inner = {"properties", "additionalProperties"} & schema.keys()
    if len(inner) == 2:
        yield f"{path}: properties and additionalProperties exclude each other"
    if kind == "object" and not inner and not free and not path.endswith(NOTHING):
        yield f"{path}: an object of nothing"
    if kind == "array" and "items" not in schema:
        yield f"{path}: no items"


def _wrong_names(schema: Schema, path: str) -> Iterator[str]:
    if unknown := schema.keys() - KEYWORDS:
        yield f"{path}: unknown {sorted(unknown)}"
    known = schema.get("properties", {}).keys()
    if not known >= set(schema.get("required", ())):
        yield f"{path}: requires what is no property"
    for choice in schema.get("oneOf", ()):
        # A value validation may not name what is not specified outside of it.
        if choice.keys() != {"required"} or not known >= set(choice["required"]):
            yield f"{path}: oneOf {choice}"


def wrong_values(value: object, schema: Schema, path: str = "") -> Iterator[str]:
    """What an API server has against a value. Fields that a schema does not have are dropped."""
    if not _is_of_type(value, schema):
        yield f"{path}: {value!r} is no {schema.get('type', 'number or text')}"
        return
    if "enum" in schema and not any(value is e or value == e for e in schema["enum"]):
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    match value:
        case str():
            yield from _wrong_text(value, schema, path)
        case int() if not isinstance(value, bool):
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{path}: {value} is out of range"
        case list() | tuple():
            yield from _wrong_size(len(value), schema, "Items", path)
            for index, item in enumerate(value):
                yield from wrong_values(item, schema.get("items", {}), f"{path}[{index}]")
        case dict():
            yield from _wrong_object(value, schema, path)


def _is_of_type(value: object, schema: Schema) -> bool:
    kind = schema.get("type")
    types: tuple[type, ...] = TYPES[kind] if kind else (object,)
    if schema.get("x-kubernetes-int-or-string"):
        types = (int, str)
    return isinstance(value, types) and not (isinstance(value, bool) and int in types)


def _wrong_text(value: str, schema: Schema, path: str) -> Iterator[str]:
    yield from _wrong_size(len(value), schema, "Length", path)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not fit {schema['pattern']}"


def _wrong_object(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    yield from _wrong_size(len(value), schema, "Properties", path)
    properties = schema.get("properties", {})
    every = schema.get("additionalProperties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name} is missing"
    choices = schema.get("oneOf", ())
    fitting = [c for c in choices if all(name in value for name in c["required"])]
    if choices and len(fitting) != 1:
        yield f"{path}: {len(fitting)} of oneOf fit"
    for name, member in value.items():
        yield from wrong_values(member, properties.get(name, every), f"{path}.{name}")


def _wrong_size(size: int, schema: Schema, unit: str, path: str) -> Iterator[str]:
    if not schema.get(f"min{unit}", size) <= size <= schema.get(f"max{unit}", size):
        yield f"{path}: {unit.lower()} {size}"
