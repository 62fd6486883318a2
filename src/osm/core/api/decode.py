"""One document to one manifest, or to what is wrong with it. Never raises for what a user wrote."""

import difflib
from collections.abc import Callable, Mapping

import msgspec

from osm.core.api import codes
from osm.core.api.manifest import Key, Manifest
from osm.core.api.metadata import Metadata, Opaque
from osm.core.api.problem import Path, Problem, enumerate_choices, format_path
from osm.core.api.registry import KINDS, Form, Kind, groups, kind_of
from osm.core.api.scalars import check_label, check_subdomain
from osm.core.api.shape import shape_problems
from osm.core.model.origin import Finding, Origin, Severity

DEEPEST = 100
DEFAULT_NAMESPACE = "default"


class Places(msgspec.Struct, frozen=True):
    """Where the parts of a document are: `file:line` of a path, and the text written there."""

    where: Callable[[Path], str]
    written: Callable[[Path], str]


class Decoded(msgspec.Struct, frozen=True):
    """A manifest, or None when there is an error among the findings.

    `key` is known as soon as the object's identity can be read, even if the rest is wrong.
    """

    manifest: Manifest | None
    findings: tuple[Finding, ...] = ()
    key: Key | None = None


class _Refusal(Exception):
    """Ends decoding: nothing more can be said about this document."""

    def __init__(self, path: Path, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(path, code, message, hint)


def nowhere(where: str) -> Places:
    """Places of a document of which only its own place is known."""
    return Places(where=lambda path: where, written=lambda path: "")


def decode(
    document: Mapping[str, object], *, where: str = "", places: Places | None = None
) -> Decoded:
    """Decode and check one object. `places` gives findings the exact lines that they are about."""
    places = places or nowhere(where)
    key: Key | None = None
    problems: list[Problem] = []
    manifest: Manifest | None = None
    try:
        pruned = _pruned(document)
        kind, version = _kind_of(pruned)
        key = _key_of(kind, pruned)
        problems += _metadata_problems(kind, key, pruned)
        raw: Mapping[str, object] = document
        value, found = _typed(kind, version, key, pruned, places)
        problems += found
        if not any(p.severity is Severity.ERROR for p in problems):
            manifest = Manifest(key, value, raw, where or places.where(()))
    except _Refusal as refusal:
        problems.append(refusal.problem)
    return Decoded(manifest, tuple(_finding(p, key, document, places) for p in problems), key)


def _pruned(value: object) -> dict[str, object]:
    """The document without empty fields, which mean the same as absent ones (as in Kubernetes)."""
    if not isinstance(value, Mapping):
        raise _Refusal(
            (),
            codes.NOT_AN_OBJECT,
            f"this document is no object: it holds {_plain(value)} and no fields",
            "An object begins with `apiVersion:`, `kind:` and `metadata:`.",
        )
    pruned = _prune(value, (), 0)
    assert isinstance(pruned, dict)
    return pruned


def _plain(value: object) -> str:
    return "a list" if isinstance(value, list | tuple) else f"the text {str(value)[:40]!r}"


def _prune(value: object, path: Path, depth: int) -> object:
    if depth > DEEPEST:
        raise _Refusal(path, codes.TOO_DEEP, f"nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        result = {}
        for name, member in value.items():
            if not isinstance(name, str):
                raise _Refusal(
                    path, codes.KEY_NOT_TEXT, f"the key {name!r} is not text", "Quote it."
                )
            if member is not None:
                result[name] = _prune(member, (*path, name), depth + 1)
        return result
    if isinstance(value, list | tuple):
        return [_prune(member, (*path, index), depth + 1) for index, member in enumerate(value)]
    return value


def _text(document: Mapping[str, object], name: str, code: str, hint: str) -> str:
    value = document.get(name)
    if isinstance(value, str) and value:
        return value
    if value is None:
        nearest = difflib.get_close_matches(name, [n for n in document if n != "kind"], 1, 0.7)
        if nearest:
            raise _Refusal(
                (nearest[0],), code, f"`{nearest[0]}` is no field", f"Did you mean `{name}`?"
            )
        raise _Refusal((), code, f"`{name}` is missing", hint)
    raise _Refusal((name,), code, f"`{name}` must be text", hint)


def _kind_of(document: Mapping[str, object]) -> tuple[Kind, str]:
    written = _text(document, "apiVersion", codes.API_VERSION, "For instance `apiVersion: v1`.")
    name = _text(document, "kind", codes.KIND, "For instance `kind: Service`.")
    group, _, version = written.rpartition("/")
    kind = kind_of(group, name)
    if kind is None:
        return _unknown(group, version, name), version
    if kind.supported and version not in kind.versions:
        choices = [kind.written_version(v) for v in reversed(kind.versions)]
        raise _Refusal(
            ("apiVersion",),
            codes.UNKNOWN_VERSION,
            f"{name} has no version {version!r}",
            f"Use {enumerate_choices(choices)}.",
        )
    return kind, version


def _unknown(group: str, version: str, name: str) -> Kind:
    """A kind that is stored and shown; but what looks like a slip of the pen is refused."""
    elsewhere = [kind for kind in KINDS if kind.kind == name]
    known = group in groups()
    nearest_group = difflib.get_close_matches(group, [g for g in groups() if g], 1, 0.8)
    if elsewhere and (known or nearest_group or "." not in group):
        raise _Refusal(
            ("apiVersion",),
            codes.WRONG_GROUP,
            f"{name} is not of API group {group or 'v1 (core)'!r}",
            f"Write `apiVersion: {elsewhere[0].api_version}`.",
        )
    if not known and nearest_group:
        raise _Refusal(
            ("apiVersion",),
            codes.UNKNOWN_GROUP,
            f"there is no API group {group!r}",
            f"Did you mean {nearest_group[0]!r}?",
        )
    if known:
        names = {kind.kind for kind in KINDS}
        nearest = difflib.get_close_matches(name, names, 1, 0.75)
        by_case = [kind for kind in names if kind.lower() == name.lower()]
        if by_case or nearest:
            raise _Refusal(
                ("kind",),
                codes.UNKNOWN_KIND,
                f"there is no kind {name!r}",
                f"Did you mean {(by_case or nearest)[0]}?",
            )
    return Kind(group, name, name.lower() + "s", (version,))


def _key_of(kind: Kind, document: Mapping[str, object]) -> Key:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        raise _Refusal(
            ("metadata",) if metadata is not None else (),
            codes.MISSING,
            "`metadata` must be a mapping" if metadata is not None else "`metadata` is missing",
            "Add `metadata:` with an indented `name:`.",
        )
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    for field, value in (("name", name), ("namespace", namespace)):
        if value is not None and not isinstance(value, str):
            raise _Refusal(
                ("metadata", field),
                codes.NOT_QUOTED,
                f"`{field}` must be text, and YAML reads {str(value).lower()} as something else",
                f'Put it in quotes: "{value}".',
            )
    if not name:
        generated = "generateName" in metadata
        raise _Refusal(
            ("metadata", "generateName") if generated else ("metadata",),
            codes.MISSING,
            "`metadata.name` is missing",
            "Give it a name; `generateName` is for API servers." if generated else "Add `name:`.",
        )
    if not kind.namespaced:
        return Key(kind.group, kind.kind, "", str(name))
    return Key(kind.group, kind.kind, str(namespace) or DEFAULT_NAMESPACE, str(name))


def _metadata_problems(kind: Kind, key: Key, document: Mapping[str, object]) -> list[Problem]:
    problems = []
    check = check_label if kind.kind == "Namespace" else check_subdomain
    # Some of Kubernetes' own kinds (roles) have other rules for names; they are not ours to check.
    if kind.supported and (complaint := check(key.name)):
        problems.append(complaint.at(("metadata", "name")))
    if key.namespace and (complaint := check_label(key.namespace)):
        problems.append(
            Problem(("metadata", "namespace"), codes.NAMESPACE, complaint.message, complaint.hint)
        )
    metadata = document["metadata"]
    if not kind.namespaced and isinstance(metadata, Mapping) and metadata.get("namespace"):
        problems.append(
            Problem(
                ("metadata", "namespace"),
                codes.NAMESPACE,
                f"a {kind.kind} is in no namespace; this has no effect",
                "Remove `namespace`.",
                Severity.WARNING,
            )
        )
    return problems


def _typed(
    kind: Kind, version: str, key: Key, document: dict[str, object], places: Places
) -> tuple[object, list[Problem]]:
    form = kind.form(version)
    if form is None:
        return _opaque(kind, version, key, document, places)
    document = form.adapt(_with_namespace(document, key))
    problems = list(shape_problems(document, form.written_as, written=places.written))
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    written, problem = _converted(document, form)
    if problem is not None:
        return None, [*problems, problem]
    problems += form.problems(written)
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    return form.convert(written), problems


def _converted(document: dict[str, object], form: Form) -> tuple[object, Problem | None]:
    try:
        return msgspec.convert(document, form.written_as, strict=True), None
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        # `shape` finds everything first; should it ever miss something, say what msgspec says.
        return None, Problem((), codes.WRONG_TYPE, f"this object cannot be read: {error}")


def _opaque(
    kind: Kind, version: str, key: Key, document: dict[str, object], places: Places
) -> tuple[object, list[Problem]]:
    metadata = _with_namespace(document, key)["metadata"]
    problems = [
        msgspec.structs.replace(p, path=("metadata", *p.path))
        for p in shape_problems(
            metadata if isinstance(metadata, Mapping) else {},
            Metadata,
            written=lambda path: places.written(("metadata", *path)),
        )
    ]
    ours = kind.group in groups() and kind.group not in ("", "apps")
    problems.append(
        Problem(
            ("kind",),
            codes.NOT_SUPPORTED,
            f"{kind.kind} is not supported yet; it is stored, and has no effect"
            if ours
            else f"the mesh does not use {kind.kind}; it has no effect",
            severity=Severity.INFO,
        )
    )
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    return Opaque(
        kind.written_version(version), kind.kind, msgspec.convert(metadata, Metadata)
    ), problems


def _with_namespace(document: dict[str, object], key: Key) -> dict[str, object]:
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    return document | {"metadata": metadata | {"namespace": key.namespace}}


def _finding(
    problem: Problem, key: Key | None, document: Mapping[str, object], places: Places
) -> Finding:
    field = format_path(problem.path)
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if key is not None:
        origin = Origin(key.kind, key.namespace, key.name, field, key.group)
    else:
        origin = Origin(kind, "", _name(document), field) if isinstance(kind, str) else None
    return Finding(
        problem.code,
        problem.severity,
        origin,
        problem.message,
        problem.hint,
        places.where(problem.path),
    )


def _name(document: Mapping[str, object]) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return name if isinstance(name, str) else ""
