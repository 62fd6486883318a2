"""What an upgrade leaves over, and what an uninstall takes with it: exactly what install made."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import pytest
from tests.unit.install.installed import OSM, VERSION, made

from osm.core.api.crd import custom_resource_definitions
from osm.core.install.names import PROXY_FILES, Installation
from osm.core.install.plan import SEARCHED, helm_release, installed, removals, selector, to_prune
from osm.core.install.record import read_record, record

EVERYTHING = "osm.osmController.autoScale.enable=true"
BLUE = Installation("blue", "blue-system")


def test_everything_that_is_made_is_found_again() -> None:
    documents = made(EVERYTHING, "ha")
    assert _names(installed(OSM, documents)) == _names(documents)
    assert {each["kind"] for each in documents} <= {each.kind for each in SEARCHED}


def test_selector_finds_all_of_it() -> None:
    wanted = dict(each.split("=") for each in selector(OSM).split(","))
    for document in (*made(EVERYTHING, "ha"), record(OSM, VERSION, {})):
        assert wanted.items() <= document["metadata"]["labels"].items()


def test_searched_places_are_where_objects_are() -> None:
    places = {(each.api_version, each.kind): each.everywhere for each in SEARCHED}
    for document in made(EVERYTHING, "ha"):
        everywhere = places[document["apiVersion"], document["kind"]]
        assert everywhere or document["metadata"]["namespace"] == OSM.namespace


def test_upgrade_to_fewer_objects_leaves_some_over() -> None:
    found = [*made(EVERYTHING, "ha"), record(OSM, VERSION, {})]
    left = to_prune(OSM, made(), found)
    assert [each["kind"] for each in left] == ["HorizontalPodAutoscaler", "PodDisruptionBudget"]
    assert not to_prune(OSM, made(EVERYTHING, "ha"), found)


def test_upgrade_never_removes_settings() -> None:
    without = [each for each in made() if each["kind"] != "MeshConfig"]
    assert not to_prune(OSM, without, made())


def test_webhooks_go_first_and_rights_last() -> None:
    kinds = [str(each["kind"]) for each in removals(OSM, reversed(made(EVERYTHING, "ha")))]
    assert kinds[:2] == ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
    assert kinds[-1] == "ServiceAccount"
    assert kinds.index("HorizontalPodAutoscaler") < kinds.index("Deployment")
    assert kinds.index("Deployment") < kinds.index("ClusterRole")


def test_uninstall_takes_what_the_control_plane_made() -> None:
    lease = _labelled("Lease", "osm-controller-osm", "osm-system")
    files = [_labelled("ConfigMap", PROXY_FILES, name) for name in ("shop", "bank")]
    refusals = _labelled("ConfigMap", "osm-controller-osm-refusals", "osm-system")
    made = [lease, refusals, *files, record(OSM, VERSION, {})]
    assert _names(removals(OSM, made)) == _names(made)


@pytest.mark.parametrize(
    "document",
    [
        # With the labels of everything, since somebody copied a manifest:
        {"kind": "Deployment", "name": "my-osm-controller", "namespace": "osm-system"},
        {"kind": "Deployment", "name": "osm-controller", "namespace": "elsewhere"},
        {"kind": "ConfigMap", "name": "settings", "namespace": "shop"},
        {"kind": "ConfigMap", "name": "osm-installation", "namespace": "shop"},
        {"kind": "Lease", "name": "osm-controller-blue", "namespace": "osm-system"},
        {"kind": "ConfigMap", "name": "osm-controller-osm-refusals", "namespace": "shop"},
        {"kind": "ClusterRole", "name": "osm-reader", "namespace": ""},
        {"kind": "Service", "name": "osm-bootstrap", "namespace": "osm-system"},
    ],
    ids=lambda document: f"{document['kind']} {document['namespace']} {document['name']}",
)
def test_what_only_looks_like_it_stays(document: dict[str, str]) -> None:
    theirs = _labelled(document["kind"], document["name"], document["namespace"])
    assert not removals(OSM, [theirs])
    assert not to_prune(OSM, [], [theirs])


def test_same_name_without_labels_stays() -> None:
    for document in made():
        copy: Any = deepcopy(document)
        del copy["metadata"]["labels"]["app.kubernetes.io/instance"]
        assert not removals(OSM, [copy])


def test_another_mesh_stays() -> None:
    theirs = made(EVERYTHING, installation=BLUE)
    assert not removals(OSM, theirs)
    assert _names(removals(BLUE, [*theirs, *made()])) == _names(theirs)


def test_definitions_are_nobodys() -> None:
    """They hold what people wrote, so they go only when somebody says so."""
    for definition in custom_resource_definitions():
        labels = definition["metadata"]["labels"]  # type: ignore[index]
        assert "app.kubernetes.io/instance" not in labels


def test_release_of_helm_is_known() -> None:
    document: Any = deepcopy(made()[0])
    assert helm_release([document]) is None
    document["metadata"]["annotations"] = {"meta.helm.sh/release-name": "our-mesh"}
    assert helm_release([*made(), document]) == "our-mesh"


def test_record_is_read_as_it_was_written() -> None:
    given = {"osm": {"osmController": {"replicaCount": 3}}}
    document = record(BLUE, "2.1.0", given)
    found = read_record(document)
    assert found is not None
    assert (found.version, found.given) == ("2.1.0", given)
    assert document["metadata"]["namespace"] == "blue-system"  # type: ignore[index]


@pytest.mark.parametrize("data", [None, {}, {"values.json": "{"}, {"values.json": "[]"}])
def test_what_is_no_record_is_none(data: object) -> None:
    assert read_record({"data": data}) is None


def _labelled(kind: str, name: str, namespace: str) -> dict[str, Any]:
    labels = dict(each.split("=") for each in selector(OSM).split(","))
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _names(documents: Iterable[Any]) -> list[tuple[str, str, str]]:
    return sorted(
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
        for each in documents
    )
