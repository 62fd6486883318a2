"""`values.yaml` and its schema, from the structs of `values`."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from msgspec import inspect

from osm.core.api.crd_schema import documentation
from osm.core.install.former_values import FORMER
from osm.core.install.presets import PRESETS
from osm.core.install.values import Values
from osm.core.install.values_reading import FREE

_WIDTH = 100
Schema = dict[str, Any]


def values_text() -> str:
    """All values with their defaults, and a comment on each."""
    return "\n".join(_lines(inspect.type_info(Values), Values().tree(), "")) + "\n"


def preset_text(name: str) -> str:
    """The values of a preset."""
    return _yaml(PRESETS[name])


def schema_text() -> str:
    """What values must be like. OSM's former ones may be anything: they are read and have no effect."""
    schema = _struct(inspect.type_info(Values), "")
    # Helm's own, which sub-charts share.
    schema["properties"]["global"] = {"type": "object"}
    for path, former in FORMER.items():
        *above, name = path.split(".")
        there = schema
        for each in above:
            there = there["properties"][each]
        there["properties"][name] = {"description": f"Has no effect: {former.why}"}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values"}
    return json.dumps(head | schema, indent=2) + "\n"


def _struct(type_: inspect.Type, above: str) -> Schema:
    assert isinstance(type_, inspect.StructType)
    summary, fields = documentation(type_.cls)
    properties: Schema = {}
    for field in type_.fields:
        path = f"{above}{field.encode_name}"
        schema = (
            _struct(field.type, f"{path}.")
            if isinstance(field.type, inspect.StructType)
            else _schema(field.type)
        )
        properties[field.encode_name] = schema | {"description": fields[field.name]}
    required = [name for name in properties if f"{above}{name}" not in FREE]
    return {
        "type": "object",
        "description": summary,
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


def _schema(type_: inspect.Type) -> Schema:
    match type_:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.IntType(ge=least, le=most):
            return {"type": "integer"} | _said(minimum=least, maximum=most)
        case inspect.StrType(pattern=pattern, max_length=longest):
            return {"type": "string"} | _said(pattern=pattern, maxLength=longest)
        case inspect.UnionType(types=types):
            return {"anyOf": [_schema(each) for each in types]}
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": _schema(item)}
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case _:
            return {}


def _said(**limits: object) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


def _lines(type_: inspect.Type, defaults: Mapping[str, object], indent: str) -> Iterator[str]:
    assert isinstance(type_, inspect.StructType)
    _, fields = documentation(type_.cls)
    for field in type_.fields:
        name, value = field.encode_name, defaults[field.encode_name]
        for line in textwrap.wrap(fields[field.name], _WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"
        if isinstance(field.type, inspect.StructType):
            assert isinstance(value, Mapping)
            yield f"{indent}{name}:"
            yield from _lines(field.type, value, indent + "  ")
        else:
            yield from textwrap.indent(_yaml({name: value}).rstrip("\n"), indent).splitlines()


def _yaml(value: object) -> str:
    plain = json.loads(json.dumps(value))  # no shared parts, hence no anchors
    text: str = yaml.safe_dump(plain, sort_keys=False, width=_WIDTH)
    return text
