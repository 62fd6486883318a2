"""A whole YAML text to manifests and findings, each finding with the line that it is about."""

import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import cast

import msgspec

from osm.core.api import codes
from osm.core.api.decode import Decoded, Places, decode
from osm.core.api.manifest import Key, Manifest
from osm.core.api.problem import Path
from osm.core.api.yaml_documents import split_documents
from osm.core.api.yaml_nodes import Node, read_document
from osm.core.api.yaml_plain import read_plain_mapping
from osm.core.model.origin import Finding, Severity

LARGEST = 10 * 1024 * 1024
"""Bytes of one text."""

# What YAML allows nowhere (YAML 1.1 §5.1, but for tab, line breaks, NEL and the byte order mark).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Parsed(msgspec.Struct, frozen=True):
    """What could be read, and what is wrong with the rest.

    `broken` are objects that are there, but with errors; `unattributed` says that something was
    unreadable to a degree that it is not known which object it is.
    """

    manifests: tuple[Manifest, ...]
    findings: tuple[Finding, ...] = ()
    broken: tuple[Key, ...] = ()
    unattributed: bool = False


Known = Mapping[tuple[int, str], Manifest]
"""Manifests by the first line and the content of the document that each was read from."""
_NONE: Known = MappingProxyType({})


def parse(text: bytes | str, *, file: str, known: Known = _NONE) -> Parsed:
    """Read every object of a text. A bad one hides no other.

    `known` are documents of the same file that need not be read again (`known_documents`).
    """
    if len(text) > LARGEST:
        return _refused(
            codes.TOO_LARGE,
            f"too large; a file may have {LARGEST // 1024 // 1024} MB",
            "Split it into several files.",
            file,
        )
    if isinstance(text, bytes):
        decoded = _decoded(text, file)
        if isinstance(decoded, Parsed):
            return decoded
        text = decoded
    if unprintable := _UNPRINTABLE.search(text):
        line = len(text[: unprintable.start()].splitlines()) or 1
        return _refused(
            codes.BINARY,
            f"the character U+{ord(unprintable[0]):04X} cannot stand in YAML; is this a text file?",
            "Remove it, or write it as an escape in double quotes.",
            f"{file}:{line}",
        )
    results: list[Decoded] = []
    for document in split_documents(text):
        content = text[document.start : document.end]
        if (manifest := known.get((document.line, content))) is not None:
            results.append(Decoded(manifest))
            continue
        if (plain := _plain_object(content, document.line, file)) is not None:
            results.append(plain)
            continue
        node, problems = read_document(content, document.line)
        found = tuple(
            Finding(p.code, Severity.ERROR, None, p.message, p.hint, f"{file}:{p.line}")
            for p in problems
        )
        if found:
            results.append(Decoded(None, found))
        elif node is not None and node.value is not None:
            results += _objects(node, file)
    return _together(results)


def known_documents(text: str, manifests: Sequence[Manifest]) -> Known:
    """The documents of a text about which there was nothing to say, if each was one manifest."""
    documents = split_documents(text)
    if not documents or len(documents) != len(manifests):
        return {}
    lines = [int(manifest.where.rpartition(":")[2]) for manifest in manifests]
    ends = (*(document.line for document in documents[1:]), sys.maxsize)
    if not all(
        document.line <= line < end
        for document, line, end in zip(documents, lines, ends, strict=True)
    ):
        return {}
    return {
        (document.line, text[document.start : document.end]): manifest
        for document, manifest in zip(documents, manifests, strict=True)
    }


def _plain_object(text: str, first_line: int, file: str) -> Decoded | None:
    """The object of a document about which there is nothing to say, as of most."""
    found = read_plain_mapping(text)
    if found is None or is_list(found[0]):
        return None
    value, line = found
    decoded = decode(value, where=f"{file}:{first_line + line}")
    return None if decoded.findings else decoded


def _decoded(text: bytes, file: str) -> str | Parsed:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        wide = text.startswith((b"\xff\xfe", b"\xfe\xff"))
        line = text[: error.start].count(b"\n") + 1
        return _refused(
            codes.NOT_UTF8,
            "this file is UTF-16, not UTF-8" if wide else "this line is not UTF-8",
            "Save the file as UTF-8.",
            f"{file}:{line}",
        )


def _refused(code: str, message: str, hint: str, where: str) -> Parsed:
    finding = Finding(code, Severity.ERROR, None, message, hint, where)
    return Parsed((), (finding,), unattributed=True)


def is_list(value: object) -> bool:
    """Whether a document is a List of objects rather than one."""
    return (
        isinstance(value, Mapping)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    )


def _objects(node: Node, file: str) -> list[Decoded]:
    if is_list(node.value):
        return [result for item in node.members["items"].items for result in _objects(item, file)]

    def where(path: Path) -> str:
        return f"{file}:{node.line_of(path)}"

    def written(path: Path) -> str:
        found = node.at(path)
        return found.written if found else ""

    # `decode` refuses what is no mapping, with a finding.
    document = cast("Mapping[str, object]", node.value)
    return [decode(document, where=where(()), places=Places(where, written))]


def _together(results: list[Decoded]) -> Parsed:
    manifests = tuple(result.manifest for result in results if result.manifest is not None)
    failed = [result for result in results if result.manifest is None]
    return Parsed(
        manifests,
        tuple(finding for result in results for finding in result.findings),
        tuple(result.key for result in failed if result.key is not None),
        any(result.key is None for result in failed),
    )
