"""Objects of any kind from files that kubectl wrote, lists taken apart."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from osm.core.migrate.documents import Document
from osm.errors import UsageError

_LARGEST = 256 * 1024 * 1024


def read_dumps(files: Iterable[str]) -> tuple[Document, ...]:
    """All objects of YAML or JSON files; `-` is standard input. Raises UsageError."""
    return tuple(document for file in dict.fromkeys(files) for document in _read(file))


def _read(file: str) -> Iterator[Document]:
    try:
        source = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115
        with source:
            content = source.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UsageError(f"{file} is too large.")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for document in yaml.load_all(content, loader):
            yield from _flat(document)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{file} cannot be read: {why}") from error


def _flat(document: object) -> Iterator[Document]:
    """An object, or those of a list."""
    if not isinstance(document, Mapping):
        return
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        kind = str(document["kind"]).removesuffix("List")
        for each in items:
            if isinstance(each, Mapping):
                # `kubectl get --raw` leaves out what the list says already.
                known = {"apiVersion": document.get("apiVersion"), "kind": kind} if kind else {}
                yield from _flat({**known, **each})
    else:
        yield document
