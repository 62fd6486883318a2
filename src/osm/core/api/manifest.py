"""One object as it was written: its key, its typed form, its raw form, and where it stands."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Key(msgspec.Struct, frozen=True, order=True, gc=False):
    """What identifies an object. The version is not part of it: all versions are one object."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind} {self.name}"
        )


class Manifest(msgspec.Struct, frozen=True):
    """An object with its typed form (one of `osm.core.api`'s kinds) and what it was read from.

    `where` is `file:line` of its first line, or empty when it came from an API server.
    """

    key: Key
    object: Any
    raw: Mapping[str, Any]
    where: str = ""
