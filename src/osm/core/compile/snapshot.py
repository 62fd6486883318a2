"""All objects at one moment."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Self

from osm.core.api.manifest import Key, Manifest


class Snapshot:
    """An immutable set of objects, by key. `with_changes` makes the next one."""

    __slots__ = ("_objects",)

    def __init__(self, objects: Mapping[Key, Manifest] = MappingProxyType({})) -> None:
        self._objects = MappingProxyType(dict(objects))

    @property
    def objects(self) -> Mapping[Key, Manifest]:
        return self._objects

    def with_changes(self, applied: Iterable[Manifest] = (), deleted: Iterable[Key] = ()) -> Self:
        """The same objects, but for these."""
        objects = dict(self._objects)
        for key in deleted:
            objects.pop(key, None)
        for manifest in applied:
            objects[manifest.key] = manifest
        return type(self)(objects)
