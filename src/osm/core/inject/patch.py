"""What leads from one JSON document to another: RFC 6902, with add, remove and replace."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

import msgspec

Path = tuple[str | int, ...]


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step; `path` is a JSON pointer (RFC 6901)."""

    op: str
    path: str
    value: object = msgspec.UNSET


def difference(before: object, after: object) -> tuple[Operation, ...]:
    """The steps in their order. None when both are the same."""
    return tuple(_difference(before, after, ()))


def _difference(before: object, after: object, path: Path) -> Iterator[Operation]:
    if before is after:
        return  # most of a document; and somebody may have nested it very deep
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_objects(before, after, path)
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        yield from _of_lists(before, after, path)
    elif type(before) is not type(after) or before != after:
        yield Operation("replace", _pointer(path), after)


def _of_objects(
    before: Mapping[str, object], after: Mapping[str, object], path: Path
) -> Iterator[Operation]:
    for name in sorted({*before, *after}):
        here = (*path, name)
        if name not in after:
            yield Operation("remove", _pointer(here))
        elif name not in before:
            yield Operation("add", _pointer(here), after[name])
        else:
            yield from _difference(before[name], after[name], here)


def _of_lists(before: Sequence[object], after: Sequence[object], path: Path) -> Iterator[Operation]:
    """Items with names are the same item when their names are equal, whatever else changed.

    All steps before one have made the list's beginning as it is to be.
    """
    old_names, new_names = ([_name(item) for item in items] for items in (before, after))
    matcher = SequenceMatcher(None, old_names, new_names, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            for old, new in zip(range(start, end), range(new_start, new_end), strict=True):
                yield from _difference(before[old], after[new], (*path, new))
            continue
        for _ in range(start, end):
            yield Operation("remove", _pointer((*path, new_start)))
        for new in range(new_start, new_end):
            yield Operation("add", _pointer((*path, new)), after[new])


def _name(item: object) -> bytes:
    """What tells an item of a list from others."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return msgspec.json.encode(item if name is None else [name], order="deterministic")


def _pointer(path: Path) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
