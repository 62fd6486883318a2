"""What was installed, for whoever upgrades: version and values, in a ConfigMap that `osm` writes last.

Helm keeps both in its release, so the chart has none.
"""

import json
from collections.abc import Mapping

import msgspec

from osm.core.api.registry import Document
from osm.core.install.labels import selecting
from osm.core.install.names import VERSION_LABEL, Installation
from osm.core.install.values_reading import Tree

RECORD = "osm-installation"


class Record(msgspec.Struct, frozen=True):
    """The version of `osm` that installed, and what differed from its defaults."""

    version: str
    given: Tree


def record(installation: Installation, version: str, given: Tree) -> Document:
    """The ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": RECORD,
            "namespace": installation.namespace,
            "labels": {**selecting(installation.mesh), VERSION_LABEL: version},
        },
        "data": {"version": version, "values.json": json.dumps(given, indent=2, sort_keys=True)},
    }


def read_record(document: Document) -> Record | None:
    """What a ConfigMap records, or None when it is none of ours any more."""
    data = document.get("data")
    if not isinstance(data, Mapping):
        return None
    try:
        given = json.loads(str(data.get("values.json", "")))
    except ValueError:
        return None
    return Record(str(data.get("version", "")), given) if isinstance(given, dict) else None
