"""Values as JSON and YAML for programs: struct fields in camelCase, keys of mappings as they are.

The output is stable: a field that once was there stays, with its name and meaning.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec
import yaml

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

_HIDDEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""What JSON may hold raw, and a terminal would obey or hide."""


def camel(name: str) -> str:
    """Turn `requests_per_second` into `requestsPerSecond`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def plain(value: object) -> Plain:
    """Turn structs, mappings and sequences into what JSON and YAML know."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, msgspec.Struct):
        return {camel(field): plain(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def to_json(value: object) -> str:
    """Write indented JSON that is safe to show on a terminal."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    return _HIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def to_yaml(value: object) -> str:
    """Write YAML without the last newline. What is not ASCII is escaped."""
    return str(yaml.safe_dump(plain(value), sort_keys=False, width=100)).removesuffix("\n")


def encoded(value: object, output: str) -> str:
    """Write a value as `json` or `yaml`."""
    return to_json(value) if output == "json" else to_yaml(value)
