"""Many files to one set of objects, kept up to date file by file. Pure: what is read is given."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from osm.core.api import codes
from osm.core.api.manifest import Key, Manifest, packed
from osm.core.api.yaml_text import Known, known_documents, parse
from osm.core.model.origin import Finding, Origin, Severity
from osm.local.folder import Signature
from osm.ports import Change

_MANY = 2
"""Documents in a file, from which on it pays to see which of them changed."""


class FileState(msgspec.Struct, frozen=True, gc=False):
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

    @property
    def keys(self) -> AbstractSet[Key]:
        """The objects that it contributes, in order."""
        return dict.fromkeys(manifest.key for manifest in (*self.good, *self.kept)).keys()


def read_state(
    name: str, data: bytes, signature: Signature | None, before: FileState | None
) -> FileState:
    """What a file contributes now. What it had before stays where it is broken."""
    if before is not None and before.data == data and before.name == name:
        return msgspec.structs.replace(before, signature=signature)
    parsed = parse(data, file=name, known=_known(before, name))
    good = {manifest.key for manifest in parsed.manifests}
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
        tuple(packed(manifest) for manifest in parsed.manifests),
        tuple({manifest.key: manifest for manifest in reversed(kept)}.values()),
        parsed.broken,
        parsed.findings,
    )


def _known(before: FileState | None, name: str) -> Known:
    """What need not be read again of a file that is edited in one place."""
    if before is None or before.name != name or len(before.good) < _MANY:
        return {}
    if before.findings or before.broken or before.kept:
        return {}
    return known_documents(before.text, before.good)


def unreadable_state(name: str, finding: Finding, before: FileState | None) -> FileState:
    """A file that is there and cannot be read keeps everything that it had."""
    kept = {m.key: m for m in ((*before.kept, *before.good) if before else ())}
    return FileState(name, kept=tuple(kept.values()), findings=(finding,))


class Collection:
    """One set of objects out of files in the order of their names.

    The first good definition of an object counts, else the first that is kept. The cost of an
    update is that of the files that changed, and of those that define the same objects.
    """

    def __init__(self) -> None:
        self.states: dict[str, FileState] = {}
        """By path."""
        self.objects: dict[Key, Manifest] = {}
        self.findings: tuple[Finding, ...] = ()
        """Everything that is wrong."""
        self._general: tuple[Finding, ...] = ()
        self._places: dict[Key, tuple[str, ...]] = {}
        self._wrong: dict[str, tuple[Finding, ...]] = {}
        self._kept: dict[str, tuple[Finding, ...]] = {}

    def losing(
        self, states: Mapping[str, FileState | None], *, believed: AbstractSet[str] = frozenset()
    ) -> set[str]:
        """The paths whose new states (None: no file) would take objects away, but for `believed`."""
        before = {path: self.states[path].keys for path in states if path in self.states}
        after = {path: state.keys if state else frozenset() for path, state in states.items()}
        lost = {path: keys - after[path] for path, keys in before.items()}
        losing: set[str] = set()
        while True:
            # What loses something is not believed, so it brings nothing either.
            brought = {key for path, keys in after.items() if path not in losing for key in keys}
            more = {
                path
                for path, keys in lost.items()
                if path not in losing
                and path not in believed
                and any(
                    key not in brought
                    and all(place in states and place not in losing for place in self._places[key])
                    for key in keys
                )
            }
            if not more:
                return losing
            losing |= more

    def update(
        self, states: Mapping[str, FileState | None], general: tuple[Finding, ...] = ()
    ) -> Change | None:
        """Take over new states by path (None: no file), and say what changed, if anything did.

        `general` are the findings that belong to no file's content.
        """
        affected = self._move_in(states)
        forms = _Forms(self.states)
        before = {key: self.objects.pop(key, None) for key in affected}
        for key in affected:
            if (manifest := forms.that_counts(key, self._places.get(key, ()))) is not None:
                self.objects[key] = manifest
        concerned = {*states, *(path for key in affected for path in self._places.get(key, ()))}
        spoken = [self._find_wrong(path) for path in concerned]
        findings = self.findings
        if any(spoken) or general != self._general:
            self._general = general
            self.findings = self._all_findings()
        applied = tuple(
            now
            for key, old in before.items()
            if (now := self.objects.get(key)) is not None and now is not old and now != old
        )
        deleted = tuple(
            sorted(k for k, old in before.items() if old is not None and k not in self.objects)
        )
        if not applied and not deleted and findings == self.findings:
            return None
        return Change(applied, deleted, self.findings)

    def _move_in(self, states: Mapping[str, FileState | None]) -> dict[Key, None]:
        """Put the states in place; which objects may be others now, in the order of the files."""
        affected: dict[Key, None] = {}
        for path, state in sorted(
            states.items(), key=lambda item: item[1].name if item[1] else item[0]
        ):
            old = self.states.pop(path, None)
            had, has = old.keys if old else frozenset(), state.keys if state else frozenset()
            for key in had - has:
                places = tuple(place for place in self._places.pop(key) if place != path)
                if places:
                    self._places[key] = places
            for key in has - had:
                self._places[key] = (*self._places.get(key, ()), path)
            if state is not None:
                self.states[path] = state
            affected |= dict.fromkeys(had) | dict.fromkeys(has)
        return affected

    def _find_wrong(self, path: str) -> bool:
        """Find what is to be said of a file now, and whether that is anything else than before."""
        state = self.states.get(path)
        wrong: tuple[Finding, ...] = ()
        kept: tuple[Finding, ...] = ()
        if state is not None:
            wrong = (
                *state.findings,
                *(
                    _twice(manifest, self.objects[manifest.key])
                    for manifest in state.good
                    if self.objects[manifest.key] is not manifest
                ),
            )
            kept = tuple(
                _kept(manifest, state.name)
                for manifest in state.kept
                if self.objects[manifest.key] is manifest
            )
        said = self._wrong.pop(path, ()), self._kept.pop(path, ())
        if wrong:
            self._wrong[path] = wrong
        if kept:
            self._kept[path] = kept
        return said != (wrong, kept)

    def _all_findings(self) -> tuple[Finding, ...]:
        return (
            *self._general,
            *(
                finding
                for found in (self._wrong, self._kept)
                for path in sorted(found, key=lambda path: self.states[path].name)
                for finding in found[path]
            ),
        )


class _Forms:
    """Finds definitions of objects in files."""

    def __init__(self, states: Mapping[str, FileState]) -> None:
        self._states = states
        self._good: dict[str, Mapping[Key, Manifest]] = {}
        self._kept: dict[str, Mapping[Key, Manifest]] = {}

    def that_counts(self, key: Key, places: Iterable[str]) -> Manifest | None:
        ordered = sorted(places, key=lambda path: self._states[path].name)
        for path in ordered:
            if path not in self._good:
                state = self._states[path]
                self._good[path] = {manifest.key: manifest for manifest in reversed(state.good)}
                self._kept[path] = {manifest.key: manifest for manifest in reversed(state.kept)}
        forms = (found[path].get(key) for found in (self._good, self._kept) for path in ordered)
        return next((form for form in forms if form is not None), None)


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
