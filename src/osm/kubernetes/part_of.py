"""Whether an object says all that a document says, whatever else it says."""

from collections.abc import Mapping
from typing import Any


def is_part_of(wanted: Any, present: Any) -> bool:
    """Whether `present` has each field of `wanted`, with its value.

    Lists of named entries are compared by name, as server-side apply merges them: somebody may have
    added one. Other lists have the same length; their entries may have more fields, since API servers
    write defaults.
    """
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(
            name in present and is_part_of(value, present[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        if not isinstance(present, list | tuple):
            return False
        if _named(wanted) and _named(present):
            by_name = {each["name"]: each for each in present}
            return all(is_part_of(each, by_name.get(each["name"])) for each in wanted)
        return len(wanted) == len(present) and all(
            is_part_of(mine, there) for mine, there in zip(wanted, present, strict=True)
        )
    # `True` is 1 in Python, and nowhere else.
    return isinstance(wanted, bool) == isinstance(present, bool) and bool(wanted == present)


def _named(entries: Any) -> bool:
    return bool(entries) and all(
        isinstance(each, Mapping) and isinstance(each.get("name"), str) for each in entries
    )
