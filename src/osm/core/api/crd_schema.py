"""Structural schemas (OpenAPI v3, as a CustomResourceDefinition wants them) of typed objects.

A schema takes whatever `decode` takes. It need not refuse all that `decode` refuses: what no schema
can say is said by the checks.
"""

import inspect as source
import re
from collections.abc import Mapping

import msgspec
from msgspec import inspect

from osm.core.api import hosts, limits, log_format, retry_on, scalars
from osm.core.api.exclusive import exclusive_fields
from osm.core.api.problem import Check
from osm.core.api.regex import LONGEST as LONGEST_REGEX
from osm.core.api.regex import check_regex
from osm.core.api.shape import alternatives

Schema = dict[str, object]

ANYTHING: Mapping[str, object] = {"x-kubernetes-preserve-unknown-fields": True}
"""For what a structural schema cannot say: lists or mappings, numbers with a fraction or text."""
_FIELD = re.compile(r"([a-z][a-z0-9_]*): (.+)")
_DURATION = r"[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_YAML_BOOLEANS: Mapping[str, bool] = {"off": False, "on": True, "no": False, "yes": True}
_PORT: Schema = {"minimum": 1, "maximum": 65535}
_RANGE: Schema = {"pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$"}
_HOST: Schema = {"minLength": 1, "maxLength": 256}
_FRAGMENTS: Mapping[Check, Schema] = {
    scalars.check_port: _PORT,
    scalars.check_label: {"maxLength": 63, "pattern": f"^{_LABEL}$"},
    scalars.check_subdomain: {"maxLength": 253, "pattern": rf"^{_LABEL}(\.{_LABEL})*$"},
    scalars.check_duration: {"pattern": f"^{_DURATION}$"},
    limits.check_positive_duration: {"pattern": f"^{_DURATION}$"},
    limits.check_optional_duration: {"pattern": f"^({_DURATION})?$"},
    hosts.check_ipv4_range: _RANGE,
    hosts.check_destination_range: _RANGE,
    hosts.check_host: _HOST,
    hosts.check_optional_host: {"maxLength": 256},
    hosts.check_qualified_host: _HOST,
    hosts.check_server_name: _HOST,
    hosts.check_destination: _HOST,
    check_regex: {"maxLength": LONGEST_REGEX},
    limits.check_filled_regex: {"minLength": 1, "maxLength": LONGEST_REGEX},
    limits.check_header: {"minLength": 1, "maxLength": 256},
    limits.check_response_header: {"minLength": 1, "maxLength": 256},
    limits.check_header_value: {"minLength": 1, "maxLength": limits.LONGEST_HEADER_VALUE},
    limits.check_interface: {"minLength": 1, "maxLength": 15},
    limits.check_image: {"maxLength": limits.LONGEST_TEXT},
    limits.check_statistic: {"minLength": 1, "maxLength": limits.LONGEST_TEXT},
    limits.check_url_path: {"pattern": "^/", "maxLength": limits.LONGEST_TEXT},
    log_format.check_log_format: {"maxLength": log_format.LONGEST},
    retry_on.check_retry_on: {"minLength": 1, "maxLength": limits.LONGEST_TEXT},
}


def documentation(type_: type) -> tuple[str, Mapping[str, str]]:
    """What a struct's docstring says: of the whole, and of its fields (lines `field: …`)."""
    summary: list[str] = []
    fields: dict[str, str] = {}
    last = ""
    for line in source.cleandoc(type_.__doc__ or "").splitlines():
        if found := _FIELD.fullmatch(line):
            last = found[1]
            fields[last] = found[2]
        elif last and line.startswith(" "):
            fields[last] += f" {line.strip()}"
        elif line and not last:
            summary.append(line)
    return " ".join(summary), fields


def struct_schema(type_: type[msgspec.Struct]) -> Schema:
    """The schema of a struct and all that is in it."""
    return _schema(inspect.type_info(type_))


def _schema(expected: inspect.Type) -> Schema:
    if isinstance(expected, inspect.Metadata):
        check = (expected.extra or {}).get("check")
        inner = _schema(expected.type)
        return inner if check is None else _limited(inner, check)
    options = alternatives(expected)
    if len(options) > 1:
        kinds = {type(option) for option in options}
        mixed = kinds == {inspect.IntType, inspect.StrType}
        return {"x-kubernetes-int-or-string": True} if mixed else dict(ANYTHING)
    match options[0]:
        case inspect.StrType():
            return {"type": "string"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": _schema(item)}
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case inspect.StructType() as struct:
            return _struct(struct)
    raise TypeError(f"no schema for {expected}; a check of `A | None` stands around it, not in it")


def _limited(schema: Schema, check: Check) -> Schema:
    match check:
        case scalars.OneOf(choices=choices, ignore_case=False):
            known: list[object] = list(choices)
            booleans = [value for text, value in _YAML_BOOLEANS.items() if text in choices]
            # `logLevel: off` reaches an API server as false, and a schema of text would refuse it.
            return {**ANYTHING, "enum": known + booleans} if booleans else schema | {"enum": known}
        case scalars.NotBelow(minimum=minimum):
            return schema | {"minimum": minimum}
        case limits.Between(minimum=minimum, maximum=maximum):
            return schema | {"minimum": minimum, "maximum": maximum}
        case limits.Text(at_least=least, at_most=most):
            return schema | {"minLength": least, "maxLength": most}
        case limits.Items(at_least=least, at_most=most):
            names = ("minProperties", "maxProperties")
            if schema["type"] == "array":
                names = ("minItems", "maxItems")
            return schema | ({names[0]: least} if least else {}) | {names[1]: most}
    if "type" not in schema:
        return schema
    return schema | _FRAGMENTS.get(check, {})


def _struct(struct: inspect.StructType) -> Schema:
    summary, described = documentation(struct.cls)
    properties: dict[str, Schema] = {}
    for field in struct.fields:
        member = _schema(field.type)
        if field.name in described:
            member = {"description": described[field.name]} | {
                name: value for name, value in member.items() if name != "description"
            }
        # A zero value is what absence means anyway; inner structs have defaults of their own.
        if isinstance(field.default, str | int) and field.default:
            member["default"] = field.default
        properties[field.encode_name] = member
    required = [field.encode_name for field in struct.fields if field.required]
    choices = exclusive_fields(struct.cls)
    schema: Schema = {"description": summary} if summary else {}
    schema |= {"type": "object"}
    if properties:  # an API server keeps no empty ones
        schema["properties"] = properties
    if required:
        schema["required"] = required
    if choices:
        schema["oneOf"] = [{"required": [name]} for name in choices]
    if getattr(struct.cls, "unknown_fields", "") == "refuse":
        # Else an API server would drop a misspelt condition before anybody can refuse it.
        schema |= ANYTHING
    return schema
