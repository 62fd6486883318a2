"""Whether a value is certainly of a struct type's shape: the quick question before `shape`'s long one.

Each type becomes a function once. A no means only that `shape_problems` must have a look.
"""

from collections.abc import Callable, Mapping
from functools import cache

from msgspec import inspect

from osm.core.api.problem import Check
from osm.core.api.shape import ALWAYS_KNOWN, alternatives, fits

Fit = Callable[[object], bool]


def is_fit(value: Mapping[str, object], type_: type) -> bool:
    """Whether `shape_problems` would find nothing at all, and checks neither."""
    return _fit_of_object(type_)(value)


@cache
def _fit_of_object(type_: type) -> Fit:
    information = inspect.type_info(type_)
    assert isinstance(information, inspect.StructType)
    return _struct_fit(information, frozenset(ALWAYS_KNOWN))


def _fit(expected: inspect.Type) -> Fit:
    if isinstance(expected, inspect.Metadata):
        check = (expected.extra or {}).get("check")
        return _fit(expected.type) if check is None else _checked_fit(_fit(expected.type), check)
    options = alternatives(expected)
    if len(options) == 1:
        return _single_fit(options[0])
    inner = tuple((option, _single_fit(option)) for option in options)

    def fit(value: object) -> bool:
        # The first that fits from outside is the one that is meant, as in `shape`.
        return next((each(value) for option, each in inner if fits(value, option)), False)

    return fit


def _checked_fit(inner: Fit, check: Check) -> Fit:
    return lambda value: inner(value) and check(value) is None


def _single_fit(expected: inspect.Type) -> Fit:
    match expected:
        case inspect.StrType():
            return lambda value: isinstance(value, str)
        case inspect.StructType():
            return _struct_fit(expected)
        case inspect.DictType():
            return _mapping_fit(_fit(expected.value_type))
        case inspect.VarTupleType():
            return _list_fit(_fit(expected.item_type))
    return lambda value: fits(value, expected)


def _mapping_fit(inner: Fit) -> Fit:
    def fit(value: object) -> bool:
        return isinstance(value, dict) and all(map(inner, value.values()))

    return fit


def _list_fit(inner: Fit) -> Fit:
    def fit(value: object) -> bool:
        return isinstance(value, list) and all(map(inner, value))

    return fit


def _struct_fit(struct: inspect.StructType, others: frozenset[str] = frozenset()) -> Fit:
    fields = {field.encode_name: _fit(field.type) for field in struct.fields}
    required = frozenset(field.encode_name for field in struct.fields if field.required)
    lenient = getattr(struct.cls, "unknown_fields", "warn") == "ignore"

    def fit(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        for name, member in value.items():
            inner = fields.get(name)
            if inner is None:
                if not lenient and name not in others:
                    return False
            elif not inner(member):
                return False
        return value.keys() >= required

    return fit
