"""Files to objects, once: for `osm validate` and `osm analyze`. `files` follows them as they change."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osm.core.api.manifest import Key, Manifest
from osm.core.model.origin import Finding
from osm.local.collection import Collection, FileState, read_state, unreadable_state
from osm.local.folder import FoundFile, list_files, read_file


class ReadObjects(msgspec.Struct, frozen=True):
    """What some files hold. `broken` counts the objects that are there with errors."""

    files: int
    objects: Mapping[Key, Manifest]
    broken: int
    findings: tuple[Finding, ...]


def state_of(file: FoundFile, before: FileState | None = None) -> FileState:
    """What a file contributes now, on top of what was last taken over."""
    content = read_file(file)
    if isinstance(content, Finding):
        return unreadable_state(file.name, content, before)
    return read_state(file.name, content.data, content.signature, before)


def read_objects(paths: Sequence[Path], texts: Mapping[str, bytes]) -> ReadObjects:
    """Read files, all files below directories, and texts by the names to show for them."""
    listing = list_files(paths)
    states = {file.path: state_of(file) for file in listing.files}
    states |= {name: read_state(name, text, None, None) for name, text in texts.items()}
    collection = Collection()
    collection.update(states, listing.findings)
    broken = {key for state in states.values() for key in state.broken} - collection.objects.keys()
    return ReadObjects(len(states), collection.objects, len(broken), collection.findings)
