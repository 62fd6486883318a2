"""Objects as they were read, and safe ways into them: nothing here was checked by anybody."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def part(document: object, *names: str) -> Document:
    """A mapping inside of a document; an empty one where there is none."""
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def items(document: object, *names: str) -> Sequence[Any]:
    """A list inside of a document; an empty one where there is none."""
    *above, last = names
    found = part(document, *above).get(last)
    return found if isinstance(found, list | tuple) else ()


def text(document: object, *names: str) -> str:
    """A text inside of a document, or nothing."""
    *above, last = names
    found = part(document, *above).get(last)
    return str(found) if isinstance(found, str | int | float) else ""


def kind(document: Document) -> str:
    """What it is."""
    return text(document, "kind")


def group(document: Document) -> str:
    """The API group: empty for the core's."""
    return text(document, "apiVersion").rpartition("/")[0]


def name(document: Document) -> str:
    """Its name."""
    return text(document, "metadata", "name")


def namespace(document: Document) -> str:
    """Its namespace; empty where it has none."""
    return text(document, "metadata", "namespace")


def label(document: Document, key: str) -> str:
    """A label, or nothing."""
    return text(document, "metadata", "labels", key)


def annotation(document: Document, key: str) -> str:
    """An annotation, or nothing."""
    return text(document, "metadata", "annotations", key)


def title(document: Document) -> str:
    """How people are told of an object."""
    place = "/".join(each for each in (namespace(document), name(document)) if each)
    return f"{kind(document)} {place}"


def of_kind(documents: Sequence[Document], wanted: str, of_group: str) -> Iterator[Document]:
    """All of a kind, whatever the version."""
    return (each for each in documents if kind(each) == wanted and group(each) == of_group)
