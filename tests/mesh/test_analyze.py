"""`osm analyze` says of a mesh that runs what it says of the files that the mesh runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .process import Bench, OsmProcess, bench, wait_for

TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: NAME, namespace: bookstore}
spec:
  destination: {kind: ServiceAccount, name: bookstore, namespace: bookstore}
  rules: [{kind: HTTPRouteGroup, name: GROUP}]
  sources: [{kind: KIND, name: bookthief, namespace: bookthief}]
"""


def target(
    name: str, *, group: str = "bookstore-service-routes", kind: str = "ServiceAccount"
) -> str:
    return TARGET.replace("NAME", name).replace("GROUP", group).replace("KIND", kind)


MISTAKES = {
    "broken.yaml": target("broken", kind="Group"),
    "twice-a.yaml": target("twice"),
    "twice-b.yaml": target("twice"),
    "lost.yaml": target("lost", group="nothere"),
    "no-yaml.yaml": "a: [",
    "config.yaml": """\
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: another, namespace: osm-system}
""",
    "pod.yaml": """\
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: bookstore, labels: {app: agent}}
spec:
  serviceAccountName: bookstore
  hostNetwork: true
  containers: [{name: agent, command: [sleep, "1000"]}]
""",
    "no-command.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: image, namespace: bookstore}
spec:
  selector: {matchLabels: {app: image}}
  template:
    metadata: {labels: {app: image}}
    spec:
      serviceAccountName: bookstore
      containers: [{name: image, image: image}]
""",
}
CODES = {"OSM005", "OSM014", "OSM140", "OSM222", "OSM301", "OSM321", "OSM402"}


@pytest.fixture(scope="module")
def place() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def mesh(place: Bench) -> Iterator[OsmProcess]:
    with place.demo() as running:
        yield running


def findings(place: Bench, *arguments: str) -> list[dict[str, Any]]:
    """What is found, in the order in which it is printed."""
    output = place.run("analyze", *arguments, "-o", "json")
    answer = json.loads(output.out)
    assert output.code == (1 if answer["summary"]["errors"] else 0), output
    found: list[dict[str, Any]] = answer["findings"]
    return found


def test_the_bookstore_is_well(place: Bench, mesh: OsmProcess) -> None:
    live = place.run("analyze")
    assert (live.code, live.out) == (0, "")
    assert live.err.startswith("No findings in ")
    files = place.run("analyze", str(mesh.directory))
    assert (files.code, files.out) == (0, "")


def test_a_running_mesh_and_its_files_give_the_same_findings(
    place: Bench, mesh: OsmProcess
) -> None:
    for name, text in MISTAKES.items():
        mesh.write(name, text)

    wait_for(lambda: {each["code"] for each in findings(place)} >= CODES, "all was read")
    expected = findings(place, str(mesh.directory))

    assert {each["code"] for each in expected} >= CODES
    assert all(each["file"].startswith(str(mesh.directory)) for each in expected)
    # Findings about what runs may come a moment later than those about files.
    wait_for(lambda: findings(place) == expected, "the running mesh finds the same")

    for name in MISTAKES:
        mesh.remove(name)
    wait_for(lambda: findings(place) == [], "all is well again")
    assert findings(place, str(mesh.directory)) == []
