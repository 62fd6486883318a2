"""What OSM's chart was installed with, where Helm's own record of it was seen."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osm.core.install.values_reading import read_values
from osm.core.migrate.documents import Document, label, name, namespace, of_kind, part, text
from osm.core.migrate.installation import Former
from osm.core.migrate.report import Entry, Severity
from osm.errors import ConfigError

_LARGEST = 16 * 1024 * 1024


def judge_values(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """The values that somebody gave: whether `osm install` knows them."""
    secret = _newest(former, documents)
    if secret is None:
        return
    place = f"Helm release {former.namespace}/{label(secret, 'name')}"
    values = _values(secret)
    if values is None:
        yield Entry(
            Severity.ACTION,
            "values-unread",
            place,
            "",
            "its values cannot be read",
            f"Look at them: helm -n {former.namespace} get values {label(secret, 'name')}",
        )
        return
    try:
        remarks = read_values(values).remarks
    except ConfigError as error:
        yield Entry(
            Severity.ACTION,
            "values-refused",
            place,
            "",
            f"`osm install` does not take these values: {error.message}",
            error.hint,
        )
        return
    for remark in remarks:
        yield Entry(
            Severity.UNSUPPORTED,
            "value-without-effect",
            place,
            remark.path,
            remark.message,
            remark.hint,
        )


def _newest(former: Former, documents: Sequence[Document]) -> Document | None:
    """The record that counts: of the release's revisions the last one that is deployed."""
    found = [
        each
        for each in of_kind(documents, "Secret", "")
        if text(each, "type") == "helm.sh/release.v1"
        and namespace(each) == former.namespace
        and label(each, "name") == former.mesh
        and label(each, "status") == "deployed"
    ]
    return max(found, key=lambda each: (_number(label(each, "version")), name(each)), default=None)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _values(secret: Document) -> Mapping[str, Any] | None:
    """Helm's record is JSON in gzip in base64, in base64 as every Secret."""
    try:
        packed = base64.b64decode(base64.b64decode(text(secret, "data", "release")))
        plain = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, _LARGEST)
        return part(json.loads(plain), "config")
    except (ValueError, zlib.error, EOFError):
        return None
