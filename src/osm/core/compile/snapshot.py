"""All objects at one moment."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Self, TypeVar

from osm.core.api.manifest import Key, Manifest

T = TypeVar("T")


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

    def of(self, kind: type[T]) -> list[tuple[Key, T]]:
        """Every object of one type, ordered by key, so that no result depends on arrival."""
        return sorted(
            (
                (key, manifest.object)
                for key, manifest in self._objects.items()
                if isinstance(manifest.object, kind)
            ),
            key=lambda pair: pair[0],
        )

    def get(self, key: Key, kind: type[T]) -> T | None:
        manifest = self._objects.get(key)
        return manifest.object if manifest and isinstance(manifest.object, kind) else None

    def where(self, key: Key) -> str:
        """`file:line` of an object, or empty."""
        manifest = self._objects.get(key)
        return manifest.where if manifest else ""
