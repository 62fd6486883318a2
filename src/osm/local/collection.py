"""Many files to one set of objects. Pure: a function of what stood in the files before and now."""

from collections.abc import Iterable, Mapping

import msgspec

from osm.core.api import codes
from osm.core.api.manifest import Key, Manifest
from osm.core.api.yaml_text import parse
from osm.core.model.origin import Finding, Origin, Severity
from osm.local.folder import Signature
from osm.ports import Change


class FileState(msgspec.Struct, frozen=True):
    """What one file contributes. `kept` are last good forms of objects that it now has broken."""

    name: str
    signature: Signature | None = None
    data: bytes | None = None
    """None when it could not be read."""
    good: tuple[Manifest, ...] = ()
    kept: tuple[Manifest, ...] = ()
    broken: tuple[Key, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def text(self) -> str:
        return (self.data or b"").decode(errors="replace")

    def defines(self, key: Key) -> bool:
        """Whether a readable document of the file is that object, right or wrong."""
        return key in self.broken or any(manifest.key == key for manifest in self.good)


class Collection(msgspec.Struct, frozen=True):
    """Every object, and everything that is wrong."""

    objects: Mapping[Key, Manifest]
    findings: tuple[Finding, ...] = ()


def read_state(
    name: str, data: bytes, signature: Signature | None, before: FileState | None
) -> FileState:
    """What a file contributes now. What it had before stays where it is broken."""
    if before is not None and before.data == data and before.name == name:
        return msgspec.structs.replace(before, signature=signature)
    parsed = parse(data, file=name)
    good = {manifest.key: manifest for manifest in reversed(parsed.manifests)}
    had = (*before.good, *before.kept) if before else ()
    # An object that is broken and new here may be one that was there, with its name spoilt.
    new = {key.kind for key in parsed.broken if all(key != manifest.key for manifest in had)}
    kept = [
        manifest
        for manifest in had
        if manifest.key not in good
        and (parsed.unattributed or manifest.key in parsed.broken or manifest.key.kind in new)
    ]
    return FileState(
        name,
        signature,
        data,
        parsed.manifests,
        tuple({manifest.key: manifest for manifest in reversed(kept)}.values()),
        parsed.broken,
        parsed.findings,
    )


def unreadable_state(name: str, finding: Finding, before: FileState | None) -> FileState:
    """A file that is there and cannot be read keeps everything that it had."""
    kept = {m.key: m for m in ((*before.kept, *before.good) if before else ())}
    return FileState(name, kept=tuple(kept.values()), findings=(finding,))


def collect(states: Iterable[FileState], findings: tuple[Finding, ...] = ()) -> Collection:
    """One set of objects out of files in order: the first definition of an object counts."""
    ordered = tuple(states)
    objects: dict[Key, Manifest] = {}
    wrong = [*findings]
    for state in ordered:
        wrong += state.findings
        for manifest in state.good:
            first = objects.setdefault(manifest.key, manifest)
            if first is not manifest:
                wrong.append(_twice(manifest, first))
    for state in ordered:
        for manifest in state.kept:
            if objects.setdefault(manifest.key, manifest) is manifest:
                wrong.append(_kept(manifest, state.name))
    return Collection(objects, tuple(wrong))


def difference(before: Collection | None, now: Collection) -> Change | None:
    """What changed, or None when nothing did. Without a `before` everything is new."""
    old = before.objects if before else {}
    change = Change(
        applied=tuple(m for key, m in now.objects.items() if old.get(key) != m),
        deleted=tuple(sorted(old.keys() - now.objects.keys())),
        findings=now.findings,
    )
    same = before is not None and before.findings == now.findings
    return None if same and not change.applied and not change.deleted else change


def _origin(key: Key) -> Origin:
    return Origin(key.kind, key.namespace, key.name, group=key.group)


def _twice(manifest: Manifest, first: Manifest) -> Finding:
    return Finding(
        codes.DEFINED_TWICE,
        Severity.WARNING,
        _origin(manifest.key),
        f"is defined in {first.where} already, which counts; this one has no effect",
        "Remove one of the two.",
        manifest.where,
    )


def _kept(manifest: Manifest, name: str) -> Finding:
    return Finding(
        codes.LAST_GOOD_KEPT,
        Severity.WARNING,
        _origin(manifest.key),
        "stays in force as it was before the file was broken",
        "Correct the error in the file; to withdraw the object, remove it from there.",
        name,
    )
