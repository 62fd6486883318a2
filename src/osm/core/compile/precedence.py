"""Who wins when several objects say something of the same thing: the oldest, everywhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from osm.core.api.manifest import Key
from osm.core.compile.tables import Written

Age = tuple[str, Key]
"""Sorts the oldest first; objects without a time (files) by name."""


def age(key: Key, written: Written[Any]) -> Age:
    """How old an object is."""
    return written.object.metadata.creation_timestamp or "", key


def oldest(objects: Mapping[Key, Written[Any]], keys: Iterable[Key]) -> Key | None:
    """The oldest of some objects; None of none."""
    return min(keys, key=lambda key: age(key, objects[key]), default=None)
