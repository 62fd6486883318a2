"""A CustomResourceDefinition in a few readable lines that leave nothing out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = {"properties", "items", "additionalProperties", "required", "description", "type"}
FREE = "x-kubernetes-preserve-unknown-fields"
ALWAYS = (".apiVersion", ".kind", ".metadata")


def outline(definition: Mapping[str, Any]) -> str:
    """A line for each field, with every keyword; what stands there already is not repeated."""
    spec = definition["spec"]
    names = spec["names"]
    known = (names["kind"], names["listKind"], names["singular"], *names["shortNames"])
    lines = [
        f"{definition['metadata']['name']}: {', '.join(known)}",
        f"{spec['scope']}, conversion {spec['conversion']['strategy']}",
    ]
    told: dict[str, str] = {}
    for version in spec["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        words = [word for word in ("served", "storage", "deprecated") if version.get(word)]
        lines += ["", f"{version['name']}: {', '.join(words) or 'not served'}"]
        lines += [
            f"  column {column['name']} ({column['type']}): {column['jsonPath']}"
            for column in version.get("additionalPrinterColumns", ())
        ]
        text = json.dumps(schema, sort_keys=True)
        if text in told:
            lines.append(f"  as {told[text]}")
        else:
            lines += _lines(schema, "", needed=False)
        told.setdefault(text, version["name"])
    return "\n".join(lines) + "\n"


def _lines(schema: Mapping[str, Any], path: str, *, needed: bool) -> Iterator[str]:
    kind = schema.get("type") or ("anything" if FREE in schema else "integer or string")
    words = [kind] + (["required"] if needed else [])
    for name, value in schema.items():
        if name not in SHOWN and (name != FREE or "type" in schema):
            words.append(f"{name.removeprefix('x-kubernetes-')}={json.dumps(value)}")
    yield f"  {path or '.'}: {' '.join(words)}"
    if "description" in schema:
        yield f"      {schema['description']}"
    for name, member in schema.get("properties", {}).items():
        inner = f"{path}.{name}"
        if inner not in ALWAYS:
            yield from _lines(member, inner, needed=name in schema.get("required", ()))
    if "items" in schema:
        yield from _lines(schema["items"], f"{path}[]", needed=False)
    if "additionalProperties" in schema:
        yield from _lines(schema["additionalProperties"], f"{path}{{}}", needed=False)
