"""The usual installation of OSM, and questions to what is said of it."""

from collections.abc import Sequence

from tests.unit.migrate.former import (
    SETTINGS,
    Document,
    definitions,
    deployments,
    mesh_config,
    namespace,
    pod,
    routes,
    secret,
    webhooks,
)

from osm.core.migrate.documents import kind
from osm.core.migrate.judge import judge
from osm.core.migrate.report import Entry, Report

ROOT = secret("osm-ca-bundle", "osm-system", "ca.crt", "private.key")
USUAL: list[Document] = [
    *deployments(),
    *definitions(),
    *webhooks(),
    mesh_config(**SETTINGS),
    ROOT,
    namespace("shop", sidecar_injection="enabled"),
    pod("shop-1", "shop"),
    routes("routes", "shop"),
]


def entries(report: Report, code: str) -> list[Entry]:
    return [each for each in report.entries if each.code == code]


def only(documents: Sequence[Document], code: str) -> Entry:
    found = entries(judge(documents), code)
    assert len(found) == 1, (code, found)
    return found[0]


def said(*more: Document, without: str = "") -> list[Document]:
    return [each for each in USUAL if kind(each) != without] + list(more)
