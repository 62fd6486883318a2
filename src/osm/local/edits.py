"""What applying and deleting objects means for the mesh's files. Plans only, no writing."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osm.core.api import codes
from osm.core.api.edit import document_of, remove_document, replace_document, to_yaml
from osm.core.api.manifest import Key, Manifest
from osm.core.api.yaml_text import Parsed, parse
from osm.core.model.origin import Finding, Origin, Severity
from osm.errors import ConfigError, InvalidObjects, UsageError
from osm.local.collection import FileState
from osm.ports import AppliedObject

INPUT = "stdin"
"""What findings call the text that somebody applies; the command puts the file's name there."""

_LONGEST_STEM = 200


class Plan(msgspec.Struct, frozen=True):
    """New texts of files (None: the file goes), and what became of each object."""

    texts: Mapping[str, str | None]
    results: tuple[AppliedObject, ...]


def read_input(text: str) -> Parsed:
    """Read objects to be applied. Raises InvalidObjects when any of them is bad."""
    parsed = parse(text, file=INPUT)
    findings = [*parsed.findings, *_repeated(parsed.manifests)]
    if not parsed.manifests and not findings:
        findings.append(
            Finding(
                codes.EMPTY,
                Severity.ERROR,
                None,
                "there is no object in it",
                "Check the file.",
                INPUT,
            )
        )
    bad = sum(finding.severity is Severity.ERROR for finding in findings)
    if bad:
        raise InvalidObjects(
            f"nothing was applied: {bad} error{'s' if bad > 1 else ''}", tuple(findings)
        )
    return parsed


def _repeated(manifests: Sequence[Manifest]) -> list[Finding]:
    first: dict[Key, Manifest] = {}
    return [
        Finding(
            codes.DEFINED_TWICE,
            Severity.ERROR,
            Origin(
                manifest.key.kind, manifest.key.namespace, manifest.key.name, "", manifest.key.group
            ),
            f"stands here twice; the first is at {first[manifest.key].where}",
            "Remove one of the two.",
            manifest.where,
        )
        for manifest in manifests
        if first.setdefault(manifest.key, manifest) is not manifest
    ]


def plan_apply(
    text: str, states: Mapping[str, FileState], directory: str, taken: Iterable[str]
) -> Plan:
    """Replace objects where they stand; give each new one a file of its own in `directory`.

    Raises InvalidObjects when an object is bad, or stands in a file that cannot be read at present.
    """
    parsed = read_input(text)
    places = _Places(states)
    texts: dict[str, str] = {}
    names: dict[str, str] = {}
    results: list[tuple[Key, str, str]] = []
    occupied = {*taken, *states}
    for manifest in parsed.manifests:
        key = manifest.key
        body = document_of(text, key) or to_yaml(manifest.raw)
        path = places.of(key)
        if path is None:
            path = _free_path(key, directory, occupied)
            occupied.add(path)
            texts[path] = _alone(body)
            results.append((key, "created", path))
        elif any(good.key == key and good.raw == manifest.raw for good in states[path].good):
            results.append((key, "unchanged", path))
        else:
            before = _now(path, texts, states)
            texts[path] = replace_document(before, key, body)
            results.append((key, "configured", path))
        names[path] = states[path].name if path in states else path
    wheres = {
        path: {m.key: m.where for m in parse(_now(path, texts, states), file=name).manifests}
        for path, name in names.items()
    }
    _check(texts, states, wheres, results)
    return Plan(
        texts,
        tuple(AppliedObject(key, action, wheres[path][key]) for key, action, path in results),
    )


def _now(path: str, texts: Mapping[str, str], states: Mapping[str, FileState]) -> str:
    return texts[path] if path in texts else states[path].text


def _check(
    texts: Mapping[str, str],
    states: Mapping[str, FileState],
    wheres: Mapping[str, Mapping[Key, str]],
    results: Sequence[tuple[Key, str, str]],
) -> None:
    """Refuse an edit that would lose an object. Only a fault of ours can bring that about."""
    for path in texts:
        expected = {manifest.key for manifest in states[path].good} if path in states else set()
        expected |= {key for key, _, place in results if place == path}
        if lost := expected - wheres[path].keys():
            raise ConfigError(f"{path}: the edit would lose {min(lost)}; nothing was changed")


def plan_delete(keys: Sequence[Key], states: Mapping[str, FileState]) -> Plan:
    """Take objects out of every file that has them; a file without anything left goes.

    Raises UsageError for an object that is nowhere.
    """
    texts: dict[str, str | None] = {}
    places = _Places(states)
    for key in dict.fromkeys(keys):
        if places.of(key) is None:
            raise UsageError(f"{key} does not exist", hint="`osm get all` shows what there is.")
        for path in places.all_of(key):
            before = texts[path] if path in texts else states[path].text
            if before is not None:
                after = remove_document(before, key)
                texts[path] = after if after.strip("\ufeff \t\r\n-.") else None
    return Plan(texts, tuple(AppliedObject(key, "deleted") for key in dict.fromkeys(keys)))


class _Places:
    """Where objects stand."""

    def __init__(self, states: Mapping[str, FileState]) -> None:
        self._states = states
        self._good: dict[Key, list[str]] = {}
        self._broken: dict[Key, list[str]] = {}
        self._kept: dict[Key, list[str]] = {}
        for path, state in states.items():
            for found, keys in (
                (self._good, (manifest.key for manifest in state.good)),
                (self._broken, state.broken),
                (self._kept, (manifest.key for manifest in state.kept)),
            ):
                for key in keys:
                    found.setdefault(key, []).append(path)

    def all_of(self, key: Key) -> Iterable[str]:
        """Every file that defines an object, right or wrong."""
        return dict.fromkeys((*self._good.get(key, ()), *self._broken.get(key, ())))

    def of(self, key: Key) -> str | None:
        """The file whose definition of an object counts, or the first that has it broken."""
        path = next(iter(self.all_of(key)), None)
        if path is None and key in self._kept:
            state = self._states[self._kept[key][0]]
            raise InvalidObjects(
                f"{key} stands in {state.name}, which cannot be read; repair that file first",
                state.findings,
            )
        return path


def _free_path(key: Key, directory: str, occupied: set[str]) -> str:
    # Kinds that we only store may have names that are no file names.
    parts = ".".join(part for part in (key.kind, key.namespace, key.name) if part).lower()
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in parts)
    stem = stem.lstrip(".")[:_LONGEST_STEM] or "object"
    path, number = f"{directory}/{stem}.yaml", 2
    while path in occupied:
        path, number = f"{directory}/{stem}-{number}.yaml", number + 1
    return path


def _alone(body: str) -> str:
    body = body.lstrip("\r\n")
    return body if body.endswith("\n") else body + "\n"
