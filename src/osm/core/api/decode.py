"""One document to one manifest, or to what is wrong with it. Never raises for what a user wrote."""

from collections.abc import Callable, Mapping
from itertools import islice

import msgspec

from osm.core.api import codes
from osm.core.api.fit import is_fit
from osm.core.api.manifest import Key, Manifest
from osm.core.api.metadata import Metadata, Opaque
from osm.core.api.problem import Path, Problem, format_path
from osm.core.api.recognition import Refusal, key_of, pruned_document, recognise
from osm.core.api.registry import Form, Kind, groups
from osm.core.api.scalars import check_label, check_subdomain
from osm.core.api.shape import shape_problems
from osm.core.model.origin import Finding, Origin, Severity

_LONGEST_MESSAGE = 2000
_MOST_PROBLEMS = 1000


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


def nowhere(where: str) -> Places:
    """Places of a document of which only its own place is known."""
    return Places(where=lambda _: where, written=lambda _: "")


def decode(
    document: Mapping[str, object], *, where: str = "", places: Places | None = None
) -> Decoded:
    """Decode and check one object: a manifest as YAML or JSON has it in, findings out.

    This is the one check of a single object, whoever asks: `osm validate`, `osm apply`, the files of
    a mesh, an admission webhook. `places` gives findings the exact lines that they are about; without
    it they have `where`, or nothing.
    """
    places = places or nowhere(where)
    key: Key | None = None
    problems: list[Problem] = []
    manifest: Manifest | None = None
    try:
        pruned = pruned_document(document)
        kind, version = recognise(pruned)
        key = key_of(kind, pruned)
        problems += _metadata_problems(kind, key, pruned)
        value, found = _typed(kind, version, key, pruned, places)
        problems += found
        if not any(p.severity is Severity.ERROR for p in problems):
            manifest = Manifest(key, value, document, where or places.where(()))
    except Refusal as refusal:
        problems.append(refusal.problem)
    return Decoded(manifest, tuple(_finding(p, key, document, places) for p in problems), key)


def _metadata_problems(kind: Kind, key: Key, document: Mapping[str, object]) -> list[Problem]:
    problems = []
    check = check_label if kind.kind == "Namespace" else check_subdomain
    # Some of Kubernetes' own kinds (roles) have other rules for names: any path segment will do.
    if not kind.supported and ("/" in key.name or key.name in (".", "..")):
        problems.append(Problem(("metadata", "name"), codes.NAME, f"{key.name!r} is no name"))
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
    problems: list[Problem] = []
    if not is_fit(document, form.written_as):
        found = shape_problems(document, form.written_as, written=places.written)
        problems += islice(found, _MOST_PROBLEMS)
        if len(problems) == _MOST_PROBLEMS:
            message = f"has {_MOST_PROBLEMS} mistakes, and maybe more that are not told"
            problems.append(Problem(("spec",), codes.TOO_LONG, message))
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    written, problem = _converted(document, form)
    if problem is not None:
        return None, [*problems, problem]
    problems += form.problems(written)
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    if not kind.acts:
        problems.append(_no_effect_yet(kind))
    return form.convert(written), problems


def _no_effect_yet(kind: Kind) -> Problem:
    return Problem(
        ("kind",),
        codes.NOT_SUPPORTED,
        f"{kind.kind} is not supported yet; it is stored, and has no effect",
        severity=Severity.INFO,
    )


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
    message = f"the mesh does not use {kind.kind}; it has no effect"
    no_effect = _no_effect_yet(kind)
    problems.append(no_effect if ours else msgspec.structs.replace(no_effect, message=message))
    if any(p.severity is Severity.ERROR for p in problems):
        return None, problems
    return Opaque(
        kind.written_version(version), kind.kind, msgspec.convert(metadata, Metadata)
    ), problems


def _with_namespace(document: dict[str, object], key: Key) -> dict[str, object]:
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    return document | {"metadata": metadata | {"namespace": key.namespace}}


def _finding(problem: Problem, key: Key | None, document: object, places: Places) -> Finding:
    return Finding(
        problem.code,
        problem.severity,
        _origin(key, document, format_path(problem.path)),
        _brief(problem.message),
        _brief(problem.hint),
        places.where(problem.path),
    )


def _brief(text: str) -> str:
    """A text that quotes what somebody wrote, which may be a megabyte."""
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _origin(key: Key | None, document: object, field: str) -> Origin | None:
    if key is not None:
        return Origin(key.kind, key.namespace, key.name, field, key.group)
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        return None
    written = document.get("metadata")
    metadata = written if isinstance(written, Mapping) else {}
    namespace, name = (
        value if isinstance(value := metadata.get(part), str) else ""
        for part in ("namespace", "name")
    )
    return Origin(document["kind"], namespace, name, field)
