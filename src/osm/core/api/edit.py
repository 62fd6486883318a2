"""Changes one document of a YAML text, and no other byte. Text in, text out."""

from collections.abc import Mapping

import msgspec
import yaml

from osm.core.api.manifest import Key
from osm.core.api.registry import kind_of
from osm.core.api.yaml_documents import Document, split_documents
from osm.core.api.yaml_nodes import read_document
from osm.core.api.yaml_scalars import resolve_plain
from osm.core.api.yaml_text import is_list

_DEFAULT_NAMESPACE = "default"


class _Dumper(yaml.CSafeDumper):
    """Writes text so that every reader of YAML takes it for text, and shared values out in full."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML calls it
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif not isinstance(resolve_plain(text), str) or text in ("y", "n", "Y", "N", "<<", "="):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(raw: Mapping[str, object]) -> str:
    """Write an object as YAML, its fields in the order that they have."""
    return str(
        yaml.dump(
            msgspec.to_builtins(raw),
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=100,
        )
    )


def key_of(raw: object) -> Key | None:
    """What identifies an object, as far as that can be told from its text alone."""
    if not isinstance(raw, Mapping):
        return None
    version, kind, metadata = raw.get("apiVersion"), raw.get("kind"), raw.get("metadata")
    if (
        not isinstance(version, str)
        or not isinstance(kind, str)
        or not isinstance(metadata, Mapping)
    ):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str) or not name:
        return None
    group = version.rpartition("/")[0]
    known = kind_of(group, kind)
    if known is not None and not known.namespaced:
        return Key(group, kind, "", name)
    return Key(
        group,
        kind,
        namespace if isinstance(namespace, str) and namespace else _DEFAULT_NAMESPACE,
        name,
    )


def keys_of(text: str) -> tuple[Key, ...]:
    """Every object that the text defines, broken ones too if their identity can be read."""
    return tuple(key for _, value in _values(text) for key in _keys_in(value))


def document_of(text: str, key: Key) -> str | None:
    """The text of the document that defines an object, or None when it is absent or in a List."""
    for document, value in _values(text):
        if not is_list(value) and key_of(value) == key:
            return text[document.start : document.end]
    return None


def replace_document(text: str, key: Key, new_text: str) -> str:
    """Put `new_text` in the place of the first document that defines `key`.

    A comment above the old document stays if the new text has none. Within a List the whole List is
    written anew. Raises KeyError when nothing defines `key`, ValueError when `new_text` is not one
    document.
    """
    for document, value in _values(text):
        if key not in _keys_in(value):
            continue
        if is_list(value):
            body = to_yaml(_with_item(value, key, _single(new_text)[1]))
            return _spliced(text, document, body)
        body = _single(new_text)[0]
        if not body.lstrip().startswith("#"):
            body = _comment_above(text[document.start : document.end]) + body
        return _spliced(text, document, body)
    raise KeyError(str(key))


def remove_document(text: str, key: Key) -> str:
    """Take out every document that defines `key`. Raises KeyError when there is none."""
    result, found = text, False
    while True:
        document, value = next(
            ((d, v) for d, v in _values(result) if key in _keys_in(v)), (None, None)
        )
        if document is None:
            break
        found = True
        if is_list(value) and set(_keys_in(value)) != {key}:
            result = _spliced(result, document, to_yaml(_with_item(value, key, None)))
        else:
            result = _without(result, document)
    if not found:
        raise KeyError(str(key))
    return result


def _values(text: str) -> list[tuple[Document, object]]:
    values = []
    for document in split_documents(text):
        node, _ = read_document(text[document.start : document.end], document.line)
        values.append((document, node.value if node else None))
    return values


def _keys_in(value: object) -> tuple[Key, ...]:
    if isinstance(value, Mapping) and is_list(value):
        return tuple(key for item in value["items"] for key in _keys_in(item))
    key = key_of(value)
    return (key,) if key is not None else ()


def _with_item(value: object, key: Key, new: object) -> dict[str, object]:
    assert isinstance(value, Mapping)
    items: list[object] = []
    for item in value["items"]:
        if is_list(item):
            items.append(_with_item(item, key, new))
        elif key_of(item) != key:
            items.append(item)
        elif new is not None:
            items.append(new)
            new = None
    return {**value, "items": items}


def _single(new_text: str) -> tuple[str, object]:
    """The text of the one document in `new_text`, which ends with a line break, and its value."""
    values = _values(new_text)
    if len(values) != 1 or values[0][1] is None:
        raise ValueError("the new text is not one readable document")
    document, value = values[0]
    body = new_text[document.start : document.end].lstrip("\r\n")
    return body if body.endswith("\n") else body + "\n", value


def _comment_above(body: str) -> str:
    kept = ""
    for line in body.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        kept += line
    return kept


def _spliced(text: str, document: Document, body: str) -> str:
    before, after = text[: document.start], text[document.end :]
    if before and not before.endswith(("\n", "\r", "\ufeff")):
        before += "\n"  # the old document began on the line of its `---`
    return before + body + after


def _without(text: str, document: Document) -> str:
    """The text without one document and the separator that is not needed any more."""
    before, after = text[: document.separator], text[document.end :]
    if document.separator == document.start:
        # The first document. Comments at the top that a blank line sets apart are the file's own.
        above = _comment_above(text[document.start : document.end])
        paragraphs = above.splitlines(keepends=True)
        while paragraphs and paragraphs[-1].strip():
            paragraphs.pop()
        header = "".join(paragraphs) if any(map(str.strip, paragraphs)) else ""
        before += header
        if after.startswith("---") and not before.strip("\ufeff \r\n"):
            after = after.partition("\n")[2] if after[3:4] in ("\n", "\r") else after
    return before + after
