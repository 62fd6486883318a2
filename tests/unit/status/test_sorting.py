"""Which object a finding is about, and which findings become Events."""

import pytest

from osm.core.api.manifest import Key
from osm.core.model.origin import Finding, Origin, Severity, mesh_config_origin
from osm.core.status.happenings import Told, told
from osm.core.status.sorting import findings_by_object

SPLIT = Key("split.smi-spec.io", "TrafficSplit", "shop", "split")
SERVICE = Key("", "Service", "shop", "cart")


def finding(
    origin: Origin | None,
    code: str = "OSM220",
    severity: Severity = Severity.WARNING,
    text: str = "t",
) -> Finding:
    return Finding(code, severity, origin, text)


def origin_of(key: Key, field: str = "") -> Origin:
    return Origin(key.kind, key.namespace, key.name, field, key.group)


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        (origin_of(SPLIT, "spec.service"), SPLIT),
        (Origin("TrafficSplit", "shop", "split"), SPLIT),
        (Origin("Service", "shop", "cart"), SERVICE),
        (
            Origin("Deployment", "shop", "cart", group="apps"),
            Key("apps", "Deployment", "shop", "cart"),
        ),
        (Origin("Job", "shop", "j", group="batch"), Key("batch", "Job", "shop", "j")),
        (
            mesh_config_origin("spec.traffic"),
            Key("config.openservicemesh.io", "MeshConfig", "osm-system", "osm-mesh-config"),
        ),
        (Origin("Namespace", "", "shop"), Key("", "Namespace", "", "shop")),
        (None, None),
    ],
)
def test_the_object_of_a_finding(origin: Origin | None, key: Key | None) -> None:
    assert set(findings_by_object([finding(origin)], {SPLIT, SERVICE}, "osm-system")) == {key}


def test_findings_come_worst_first_each_once_in_any_order_of_theirs() -> None:
    found = [
        finding(origin_of(SPLIT), "OSM300"),
        finding(origin_of(SPLIT), "OSM100"),
        finding(origin_of(SPLIT), "OSM400", Severity.ERROR),
        finding(origin_of(SPLIT), "OSM100"),
    ]
    sorted_ = findings_by_object(found, {SPLIT}, "osm-system")[SPLIT]
    assert [each.code for each in sorted_] == ["OSM400", "OSM100", "OSM300"]
    assert findings_by_object(found[::-1], {SPLIT}, "osm-system")[SPLIT] == sorted_


def events(*findings: Finding) -> list[Told]:
    by_object = findings_by_object(findings, {SPLIT, SERVICE}, "osm-system")
    return list(told(by_object, lambda key: key != SPLIT))


def test_objects_without_a_status_have_their_findings_told() -> None:
    assert events(
        finding(origin_of(SERVICE, "spec.ports"), "OSM210", text="no port"),
        finding(origin_of(SERVICE), "OSM130", Severity.ERROR, "bad"),
        finding(origin_of(SERVICE), "OSM150", Severity.INFO, "by the way"),
        finding(origin_of(SPLIT), "OSM133", Severity.ERROR, "in its status"),
    ) == [
        Told(SERVICE, "MeshError", "[OSM130] bad"),
        Told(SERVICE, "MeshWarning", "[OSM210] spec.ports: no port"),
    ]


def test_what_people_must_see_is_told_of_every_object() -> None:
    assert events(
        finding(origin_of(SPLIT), "OSM902", Severity.ERROR, "refused"),
        finding(None, "OSM904", Severity.WARNING, "the root certificate expires within 9 days"),
    ) == [
        Told(SPLIT, "ConfigurationRefused", "[OSM902] refused"),
        Told(None, "RootCertificateExpires", "[OSM904] the root certificate expires within 9 days"),
    ]


def test_one_object_does_not_fill_the_list() -> None:
    many = [finding(origin_of(SERVICE), f"OSM2{number:02}") for number in range(12)]
    found = events(*many)
    assert len(found) == 6
    assert found[-1] == Told(SERVICE, "MoreFindings", "and 7 more: see `osm analyze`")
