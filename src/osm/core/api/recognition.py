"""Which object a document is: its kind, version and key; and slips of the pen in them."""

import difflib
from collections.abc import Mapping

from osm.core.api import codes
from osm.core.api.manifest import Key
from osm.core.api.problem import Path, Problem, enumerate_choices
from osm.core.api.registry import KINDS, Kind, groups, kind_of

DEEPEST = 100
DEFAULT_NAMESPACE = "default"


class Refusal(Exception):
    """Ends decoding: nothing more can be said about this document."""

    def __init__(self, path: Path, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(path, code, message, hint)


def pruned_document(value: object) -> dict[str, object]:
    """The document without empty fields: they mean the same as absent ones. Raises Refusal."""
    if not isinstance(value, Mapping):
        raise Refusal(
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
    if isinstance(value, str):
        return value
    if depth > DEEPEST:
        raise Refusal(path, codes.TOO_DEEP, f"nested more than {DEEPEST} levels deep")
    if type(value) is dict or isinstance(value, Mapping):  # the first is the quicker question
        result: dict[str, object] = {}
        for name, member in value.items():
            if not isinstance(name, str):
                raise Refusal(
                    path, codes.KEY_NOT_TEXT, f"the key {name!r} is not text", "Quote it."
                )
            if isinstance(member, str):
                result[name] = member
            elif member is not None:
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
            raise Refusal(
                (nearest[0],), code, f"`{nearest[0]}` is no field", f"Did you mean `{name}`?"
            )
        raise Refusal((), code, f"`{name}` is missing", hint)
    raise Refusal((name,), code, f"`{name}` must be text", hint)


def recognise(document: Mapping[str, object]) -> tuple[Kind, str]:
    """Which kind of object it is, and in which version. Raises Refusal."""
    written = _text(document, "apiVersion", codes.API_VERSION, "For instance `apiVersion: v1`.")
    name = _text(document, "kind", codes.KIND, "For instance `kind: Service`.")
    group, _, version = written.rpartition("/")
    kind = kind_of(group, name)
    if kind is None:
        return _unknown(group, version, name), version
    if kind.supported and version not in kind.versions:
        choices = [kind.written_version(v) for v in reversed(kind.versions)]
        raise Refusal(
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
        raise Refusal(
            ("apiVersion",),
            codes.WRONG_GROUP,
            f"{name} is not of API group {group or 'v1 (core)'!r}",
            f"Write `apiVersion: {elsewhere[0].api_version}`.",
        )
    if not known and nearest_group:
        raise Refusal(
            ("apiVersion",),
            codes.UNKNOWN_GROUP,
            f"there is no API group {group!r}",
            f"Did you mean {nearest_group[0]!r}?",
        )
    if known:
        # Kubernetes has kinds that we do not list, named like some that we only store.
        foreign = group in ("", "apps")
        names = {k.kind for k in KINDS if k.group == group and (k.supported or not foreign)}
        nearest = difflib.get_close_matches(name, names, 1, 0.75)
        by_case = [kind for kind in names if kind.lower() == name.lower()]
        if by_case or nearest:
            raise Refusal(
                ("kind",),
                codes.UNKNOWN_KIND,
                f"there is no kind {name!r}",
                f"Did you mean {(by_case or nearest)[0]}?",
            )
    return Kind(group, name, name.lower() + "s", (version,))


def key_of(kind: Kind, document: Mapping[str, object]) -> Key:
    """What identifies the object; an absent namespace is `default`. Raises Refusal."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        raise Refusal(
            ("metadata",) if metadata is not None else (),
            codes.MISSING,
            "`metadata` must be a mapping" if metadata is not None else "`metadata` is missing",
            "Add `metadata:` with an indented `name:`.",
        )
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    for field, value in (("name", name), ("namespace", namespace)):
        if value is not None and not isinstance(value, str):
            raise Refusal(
                ("metadata", field),
                codes.NOT_QUOTED,
                f"`{field}` must be text, and YAML reads {str(value).lower()} as something else",
                f'Put it in quotes: "{value}".',
            )
    if not name:
        generated = "generateName" in metadata
        raise Refusal(
            ("metadata", "generateName") if generated else ("metadata",),
            codes.MISSING,
            "`metadata.name` is missing",
            "Give it a name; `generateName` is for API servers." if generated else "Add `name:`.",
        )
    if not kind.namespaced:
        return Key(kind.group, kind.kind, "", str(name))
    return Key(kind.group, kind.kind, str(namespace) or DEFAULT_NAMESPACE, str(name))
