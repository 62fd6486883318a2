"""What an API server says in lists and watches (Kubernetes API concepts)."""

import msgspec


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What tells one form of an object from another."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] = {}


class Object(msgspec.Struct, frozen=True):
    """An object, as far as it is read here; or the status that stands in its place."""

    metadata: Metadata = Metadata()
    code: int = 0
    reason: str = ""
    message: str = ""


class Event(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


class ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """Where a list stands, and where it goes on."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, frozen=True):
    """A part of a list."""

    metadata: ListMetadata
    items: list[msgspec.Raw] = []
