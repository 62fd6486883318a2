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

    `written` is the raw form, or that in MessagePack (see `packed`). `where` is `file:line` of its
    first line, or empty when it came from an API server.
    """

    key: Key
    object: Any
    written: Mapping[str, Any] | bytes
    where: str = ""

    @property
    def raw(self) -> Mapping[str, Any]:
        """The object as it was written, with the fields that we do not know."""
        if isinstance(self.written, bytes):
            unpacked: Mapping[str, Any] = msgspec.msgpack.decode(self.written)
            return unpacked
        return self.written

    @property
    def api_version(self) -> str:
        """As it was written. Of what is packed, nothing else is unpacked for it."""
        if isinstance(self.written, bytes):
            return msgspec.msgpack.decode(self.written, type=_Versioned).api_version
        return str(self.written.get("apiVersion", ""))


class _Versioned(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""


def packed(manifest: Manifest) -> Manifest:
    """The same in a fraction of the memory, to be kept: few ever look at the raw form."""
    if isinstance(manifest.written, bytes):
        return manifest
    try:
        written = msgspec.msgpack.encode(manifest.written)
    except (OverflowError, UnicodeEncodeError):
        return manifest  # a number of more than 64 bits, or half a character
    return Manifest(manifest.key, manifest.object, written, manifest.where)
